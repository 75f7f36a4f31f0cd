/*
 * What is told of failed items: the first few on standard error, all of them in the --errors file.
 */
#ifndef FANTAIL_CLI_MAP_FAILURES_H
#define FANTAIL_CLI_MAP_FAILURES_H

#include "common/base/base.h"

struct failures {
    FILE *file; /* NULL: none */
    bool quiet;
    unsigned told;
    uint64_t count;
};

/* path may be NULL. False, with errno, when the file cannot be made. */
MUST_CHECK bool failures_init(struct failures *f, const char *path, bool quiet);
/* error: the error object; item: the line it came from, JSON or (text) as it is; item_len 0 when not known. */
void failures_add(struct failures *f, uint64_t index, const char *error, size_t error_len, const char *item,
                  size_t item_len, bool text);
/* Closes the file and sums up on standard error. False when the file could not be written whole. */
MUST_CHECK bool failures_finish(struct failures *f, uint64_t total);

#endif
