/*
 * Applies the built-in reduction of a job to its answers. A fold turns the values into one value, and stores the errors
 * for the reader. Owner: the job.
 */
#ifndef FANTAIL_COORDINATOR_ANSWERS_FOLD_H
#define FANTAIL_COORDINATOR_ANSWERS_FOLD_H

#include "coordinator/answers/answer_source.h"
#include "coordinator/answers/error_log.h"
#include "coordinator/answers/reduce.h"

enum fold_status {
    FOLD_OK,
    FOLD_MORE,          /* more answers have arrived than were folded in this call */
    FOLD_NO_MEMORY,     /* there is no memory for the result; returned once; later calls return FOLD_NOT_REDUCIBLE */
    FOLD_NOT_REDUCIBLE, /* a value does not fit the reduction */
    FOLD_SOURCE_FAILED, /* the answers cannot be read back */
    FOLD_DISK_FAILED,   /* the errors cannot be stored */
};

struct fold {
    struct answer_source from;
    struct reduction reduction;
    struct error_log errors;
};

/* `from` returns the answers in input order. `dir` is borrowed. */
void fold_init(struct fold *f, enum job_reduce kind, const struct answer_source *from, struct spill_dir *dir);
/* Releasing a zeroed fold is fine. */
void fold_release(struct fold *f);
/* Folds answers that have arrived since the last call. Stops after about max_bytes of answers, because a longer call
 * would block the loop. If the values cannot be reduced, or if there is no memory for the result, the function still
 * stores the errors. */
MUST_CHECK enum fold_status fold_advance(struct fold *f, uint64_t max_bytes);
/* Writes one sentence that says why the fold failed. */
void fold_explain(const struct fold *f, enum fold_status status, char *out, size_t out_size);
/* Returns a source of the errors. Only one reader can use the source, because reading an error removes the error. */
struct answer_source fold_source(struct fold *f);
/* Returns the result of the reduction, which is borrowed from the fold. Call it when all answers have been folded. */
struct json_slice fold_result(struct fold *f);

#endif
