/*
 * The built-in reducers. A reducer combines the values of a job, in input order, into one JSON value. A long value is
 * added in parts. Pure.
 *
 *   sum      exact if all values are integers of at most 25 digits; otherwise a double (Neumaier's compensated sum)
 *   count    the number of values
 *   min max  of numbers, or of strings, compared by meaning (value_compare.h); the result is the value as it was
 *            written; if several values are equal, it is the first of them
 *   concat   arrays into one array, or strings into one string
 */
#ifndef FANTAIL_COORDINATOR_ANSWERS_REDUCE_H
#define FANTAIL_COORDINATOR_ANSWERS_REDUCE_H

#include "coordinator/answers/value_compare.h"
#include "coordinator/items/jobspec.h"

struct reduction {
    enum job_reduce kind;
    uint64_t values;
    __int128 integer;  /* sum: the integers so far */
    double real, lost; /* sum: the other numbers so far, and Neumaier's compensation */
    bool has_real;
    struct buf best;   /* min, max: the text of the best value; concat: the result without its last character */
    char error[160];   /* why the values cannot be reduced; "": they can */
    bool lacks_memory; /* the last reduction_add() has stopped because there is no memory for the result */
    bool finished;     /* `best` is the whole result */
    /* The state of the value that is being added: the members from here on. */
    enum reduction_phase { REDUCTION_BEGIN, REDUCTION_READ, REDUCTION_COMPARE, REDUCTION_BLANK, REDUCTION_COPY } phase;
    size_t copied;         /* where the next byte to copy is in the value; in REDUCTION_BLANK, the next byte to check */
    struct decimal number; /* sum: the value, if it is long */
    struct value_compare compare;
};

/* `kind` is one of sum, count, min, max and concat. */
void reduction_init(struct reduction *r, enum job_reduce kind, size_t max_bytes);
void reduction_release(struct reduction *r);
/* Adds one value, or a part of it. The value is valid JSON without white space around it. Reads about *budget bytes,
 * and lowers *budget by the number of bytes that it has read. Returns whether the whole value was added. If the result
 * is false, call this function again with the same value, whose address may differ. If r->lacks_memory is set, call it
 * again only when there may be more memory. If r->error is set, the value is ignored. */
MUST_CHECK bool reduction_add(struct reduction *r, uint64_t index, const char *value, size_t len, size_t *budget);
/* Frees the result, and sets r->error to `why`. Further values are ignored. */
void reduction_give_up(struct reduction *r, const char *why);
/* Returns the result, which is borrowed from r. Call it after the last value. If there was no value, the result is
 * null, or 0 for sum and count. */
struct json_slice reduction_result(struct reduction *r);

#endif
