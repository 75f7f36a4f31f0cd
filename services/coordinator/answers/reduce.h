/*
 * The built-in reducers: fold a job's values, fed in input order, into one JSON value. Pure.
 *
 * sum    exact while the values are integers of at most 25 digits, else a double (Neumaier's compensated sum).
 * count  how many values there were.
 * min max  of numbers, or of strings by their bytes; the winning value is given back as it came.
 * concat arrays into one array, or strings into one string.
 */
#ifndef FANTAIL_COORDINATOR_ANSWERS_REDUCE_H
#define FANTAIL_COORDINATOR_ANSWERS_REDUCE_H

#include "common/base/buf.h"
#include "coordinator/items/jobspec.h"

struct reduction {
    enum job_reduce kind;
    uint64_t values;
    __int128 integer;  /* sum: the integers so far */
    double real, lost; /* sum: the rest and Neumaier's compensation */
    bool has_real;
    struct buf best; /* min, max: the winner's text; concat: the inside of the result */
    char open;       /* concat: '[' or '"', as of the first value */
    char error[160]; /* why the values cannot be reduced; "" is fine so far */
};

/* kind is one of sum, count, min, max and concat. */
void reduction_init(struct reduction *r, enum job_reduce kind, size_t max_bytes);
void reduction_release(struct reduction *r);
/* One value: valid JSON without surrounding white space. Once r->error is set, nothing more is taken. */
void reduction_add(struct reduction *r, uint64_t index, const char *value, size_t len);
/* Writes the result; null when there were no values (0 for sum and count). */
bool reduction_result(const struct reduction *r, struct buf *out);

#endif
