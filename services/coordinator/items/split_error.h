/*
 * What is wrong with a body that cannot be split into items, and what the answers 400 and 413 say about it.
 */
#ifndef FANTAIL_COORDINATOR_ITEMS_SPLIT_ERROR_H
#define FANTAIL_COORDINATOR_ITEMS_SPLIT_ERROR_H

#include "common/base/buf.h"

enum split_status {
    SPLIT_OK = 0,
    SPLIT_BAD,            /* the body does not have the format: 400 */
    SPLIT_ITEM_TOO_LARGE, /* an item of more than LIMIT_ITEM_BYTES: 413 */
    /* The options, or a job object without its items, have more than LIMIT_OPTIONS_BYTES: 413. */
    SPLIT_OPTIONS_TOO_LARGE,
};

struct split_error {
    enum split_status status;
    uint64_t offset; /* offset of the wrong byte in the whole body; the length of the body if the body ends too early */
    /* A JSON pointer, such as "/items/17"; "": the body. The pointer may contain a name that the client chose, so
     * escape the pointer. A long pointer is cut off. */
    char pointer[96];
    const char *phrase; /* a static phrase, such as "a comma or ] was expected" */
    const char *hint;   /* a static phrase that says what to do; NULL: none */
};

/* The phrases of the answers 413. */
#define TOO_LARGE_ITEM    "an item is too large"
#define TOO_LARGE_OPTIONS "the line of options is too large"
#define TOO_LARGE_JOB     "the job object is too large without its items"

/* Records the fault and its offset in the whole body. Returns `status`. */
enum split_status split_error_set(struct split_error *e, enum split_status status, uint64_t offset, const char *phrase);
/* Appends the detail of a problem document. Returns the HTTP status. */
int split_error_describe(const struct split_error *e, struct buf *detail);

#endif
