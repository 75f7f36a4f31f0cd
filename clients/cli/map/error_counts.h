/*
 * Counts failed items by the name of their error. Tasks may give errors any name, so at most ERROR_NAMES_MAX names have
 * their own counts. All errors with other names are counted together. Pure.
 */
#ifndef FANTAIL_CLI_MAP_ERROR_COUNTS_H
#define FANTAIL_CLI_MAP_ERROR_COUNTS_H

#include "common/base/buf.h"

enum { ERROR_NAMES_MAX = 8, ERROR_NAME_SIZE = 64 };

/* A zeroed struct has no errors. */
struct error_counts {
    struct error_count {
        char name[ERROR_NAME_SIZE];
        uint64_t n;
    } names[ERROR_NAMES_MAX];
    size_t names_n;
    uint64_t others;
};

/* Counts one error. `error` is the error object. */
void error_counts_add(struct error_counts *c, const char *error, size_t len);
/* Appends the counts, the largest first: "10 crashed, 1 task_error, 3 other". `cancelled` is the number of errors with
 * the name "cancelled" that are left out, because the caller reports them in another way. */
void error_counts_write(const struct error_counts *c, uint64_t cancelled, struct buf *out);

#endif
