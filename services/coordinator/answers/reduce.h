/*
 * The built-in reducers. They combine the values of a job, in input order, into one JSON value. Pure.
 *
 *   sum      exact while the values are integers of at most 25 digits, else a double (Neumaier's compensated sum)
 *   count    the number of values
 *   min max  of numbers, or of strings, by what they mean (value_compare.h); the result is the value as it was
 *            written; of equal values, it is the first one
 *   concat   arrays into one array, or strings into one string
 */
#ifndef FANTAIL_COORDINATOR_ANSWERS_REDUCE_H
#define FANTAIL_COORDINATOR_ANSWERS_REDUCE_H

#include "common/base/buf.h"
#include "coordinator/items/jobspec.h"

struct reduction {
    enum job_reduce kind;
    uint64_t values;
    __int128 integer;  /* sum: the integers so far */
    double real, lost; /* sum: the other numbers so far, and Neumaier's compensation */
    bool has_real;
    struct buf best; /* min, max: the text of the best value; concat: the result without its first and last character */
    char open;       /* concat: '[' or '"', as in the first value */
    char error[160]; /* why the values cannot be reduced; "": they can */
};

/* `kind` is one of sum, count, min, max and concat. */
void reduction_init(struct reduction *r, enum job_reduce kind, size_t max_bytes);
void reduction_release(struct reduction *r);
/* Adds one value: valid JSON without white space around it. The value is ignored once r->error is set. */
void reduction_add(struct reduction *r, uint64_t index, const char *value, size_t len);
/* Appends the result. If there was no value, the result is null, or 0 for sum and count. */
bool reduction_result(const struct reduction *r, struct buf *out);

#endif
