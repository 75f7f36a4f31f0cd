/*
 * Finds the places where a stream of bytes may be cut: the ends of its records. A record ends with the text `--recend`,
 * and the next one begins with the text `--recstart`. If both are given, both must be at the cut, one after the other.
 * If both are empty, the stream may be cut anywhere. Pure.
 */
#ifndef FANTAIL_CLI_BLOCKS_RECORD_ENDS_H
#define FANTAIL_CLI_BLOCKS_RECORD_ENDS_H

#include "common/base/base.h"

#define RECORD_ENDS_BYTES 4096 /* the largest length of both texts together */

/* A zeroed struct allows a cut anywhere. */
struct record_ends {
    char text[RECORD_ENDS_BYTES]; /* the end of a record and the start of the next one */
    size_t len;
    size_t end_len; /* of the end alone */
};

/* Sets the texts from the values of the options, in which \n, \r, \t, \0, \\, \' and \" stand for bytes. A value of
 * NULL means that the option was not given. If neither option was given, a record ends with a newline. Returns false if
 * the texts are too long or have another backslash. */
MUST_CHECK bool record_ends_init(struct record_ends *e, const char *start, const char *end);
/* Returns how many bytes after a cut belong to the text that marks it. */
static inline size_t record_ends_ahead(const struct record_ends *e)
{
    return e->len - e->end_len;
}

/* Returns the last cut in the data that is above 0 and at most `max`; 0: there is none. A cut at `max`
 * is found only if the data has the bytes after `max` that mark it. */
size_t record_ends_last(const struct record_ends *e, const char *data, size_t len, size_t max);
/* Returns the first cut in the data that is at least `min`; 0: there is none. `min` must be above 0. */
size_t record_ends_next(const struct record_ends *e, const char *data, size_t len, size_t min);

#endif
