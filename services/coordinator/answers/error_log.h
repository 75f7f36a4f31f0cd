/*
 * The error lines of a job, kept until its reader asks for them: in memory up to a cap, then in a temporary file.
 * Consecutive items with the same line share one record. So a job whose items all fail in the same way needs only one.
 * Owner: fold.h or the reader.
 */
#ifndef FANTAIL_COORDINATOR_ANSWERS_ERROR_LOG_H
#define FANTAIL_COORDINATOR_ANSWERS_ERROR_LOG_H

#include "coordinator/answers/answer_source.h"
#include "coordinator/answers/spill_log.h"

/* n items from `first` on, with the same line of len bytes. */
struct error_record {
    uint64_t first, n;
    size_t len;
};

struct error_log {
    struct spill_log log; /* records, each followed by its line */

    /* Private. */
    struct error_record last; /* not in the log yet, as the next line may be the same; none if n is 0 */
    struct buf last_line;
    uint64_t read_at;           /* of the record that is read next */
    bool in_record;             /* `record` and `line` are the one at read_at */
    struct error_record record; /* what of it has not been read */
    struct buf line;
};

/* spill_dir is borrowed. */
void error_log_init(struct error_log *l, const char *spill_dir, size_t memory_cap);
/* A zeroed one is fine. */
void error_log_release(struct error_log *l);
/* The line (canonical, with its newline) of n items; copied. False when it cannot be kept: l->log.file.error says why.
 */
MUST_CHECK bool error_log_add(struct error_log *l, uint64_t first, uint64_t n, const char *line, size_t len);
/* For one reader: lines that were read are gone. */
struct answer_source error_log_source(struct error_log *l);

#endif
