/*
 * Keeps the error lines of a job until its reader asks for them. Up to a cap, the lines are in memory. The other lines
 * are in a temporary file. Consecutive items with the same line share one record. So a job whose items all fail in the
 * same way needs only one record. Owner: the fold (fold.h) or the reader of the job.
 */
#ifndef FANTAIL_COORDINATOR_ANSWERS_ERROR_LOG_H
#define FANTAIL_COORDINATOR_ANSWERS_ERROR_LOG_H

#include "coordinator/answers/answer_source.h"
#include "coordinator/spill/byte_log.h"

/* A run of n items from `first` on, which all have the same line of len bytes. */
struct error_record {
    uint64_t first, n;
    size_t len;
};

struct error_log {
    struct byte_log log; /* records, each followed by its line */

    /* Private. */
    struct error_record last; /* not in the log yet, because the next line may be the same; n is 0: there is none */
    struct buf last_line;
    uint64_t read_at;           /* offset in the log of the record that is read next */
    bool in_record;             /* `record` and `line` belong to the record at read_at */
    struct error_record record; /* the items of the record at read_at that were not read yet */
    struct buf line;
};

/* `dir` is borrowed. */
void error_log_init(struct error_log *l, struct spill_dir *dir, size_t memory_cap);
/* Releasing a zeroed log is fine. */
void error_log_release(struct error_log *l);
/* Adds the line of n items. The line is in canonical form, ends with a newline and is copied. Returns false when the
 * line cannot be stored; l->log.file.error says why. */
MUST_CHECK bool error_log_add(struct error_log *l, uint64_t first, uint64_t n, const char *line, size_t len);
/* Only one reader can use the source, because reading a line removes the line. */
struct answer_source error_log_source(struct error_log *l);

#endif
