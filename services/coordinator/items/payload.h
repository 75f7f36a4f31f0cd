/*
 * The items of a chunk, as the lines that are sent to a worker. A chunk that is a slice of another chunk shares the
 * bytes of that chunk. Pure: no I/O.
 */
#ifndef FANTAIL_COORDINATOR_ITEMS_PAYLOAD_H
#define FANTAIL_COORDINATOR_ITEMS_PAYLOAD_H

#include "common/base/buf.h"

struct payload_bytes;

struct payload {
    struct payload_bytes *shared;
    const char *lines; /* `count` newline-terminated lines */
    size_t len;
    uint64_t count;
};

/* Takes over the memory of `lines`, and leaves `lines` empty. */
MUST_CHECK struct payload *payload_new(struct buf *lines, uint64_t count);
/* Returns a payload of items [from, from + count) of p. */
MUST_CHECK struct payload *payload_slice(const struct payload *p, uint64_t from, uint64_t count);
void payload_free(struct payload *p);
/* Returns the lines of items [from, to), borrowed from p. */
const char *payload_range(const struct payload *p, uint64_t from, uint64_t to, size_t *len);

#endif
