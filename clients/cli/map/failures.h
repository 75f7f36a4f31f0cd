/*
 * Reports items without a value, which failed or were cancelled: the first few on standard error, all of them in the
 * --errors file.
 */
#ifndef FANTAIL_CLI_MAP_FAILURES_H
#define FANTAIL_CLI_MAP_FAILURES_H

#include "cli/map/error_counts.h"
#include "common/base/base.h"

#define FAILURES_REPORTED_MAX 5 /* failures that are reported on standard error */

struct failures {
    FILE *file; /* NULL: none */
    bool quiet;
    bool reports_lost;  /* even if `quiet` is set, report items whose command did not end by itself or by --timeout */
    bool shows_stderr;  /* standard error has what the commands wrote there, so the messages do not repeat it */
    unsigned reported;  /* failures that were reported on standard error */
    uint64_t count;     /* items without a value */
    uint64_t cancelled; /* how many of these had no answer when their job was cancelled */
    struct error_counts names;
};

/* Returns how many items failed. Cancelled items do not count. */
static inline uint64_t failures_failed(const struct failures *f)
{
    return f->count - f->cancelled;
}

/* Returns whether the next failure will be reported on standard error. */
static inline bool failures_reports(const struct failures *f)
{
    return !f->quiet && f->reported < FAILURES_REPORTED_MAX;
}

/* `path` may be NULL. Returns false, with errno, if the file cannot be created. */
MUST_CHECK bool failures_init(struct failures *f, const char *path, bool quiet);
/* Adds an item. `line` is the number of the item's line in the input, counted from 1; 0: not known. If the item was
 * cancelled, the caller adds 1 to `cancelled`. `error` is the error object. `item` is the line of the item: text if
 * `text` is true, else JSON. If the item's line is not known, `item` is NULL and item_len is 0. */
void failures_add(struct failures *f, uint64_t index, uint64_t line, const char *error, size_t error_len,
                  const char *item, size_t item_len, bool text);
/* Appends what follows the number of failed items in a message: the names of their errors, how many were cancelled, and
 * how to list them. `listed`: the --errors file has the failed items. */
void failures_add_details(const struct failures *f, bool listed, struct buf *line);
/* Closes the file. Returns false if the file could not be written. */
MUST_CHECK bool failures_close(struct failures *f);
/* Closes the file. Writes to standard error how many of the `total` items failed and how many were cancelled. If not
 * every failure was reported, also writes how many items failed with each error.
 * `answered`: the run ended early, so `total` counts only the items that were answered. Returns false if the file could
 * not be written. */
MUST_CHECK bool failures_finish(struct failures *f, uint64_t total, bool answered);

#endif
