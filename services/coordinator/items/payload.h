/*
 * The items of a chunk, as the lines that are sent to a worker. A payload may have a part of the lines of another
 * payload. If the part is large, the two payloads share the bytes of the lines. If the part is small, its lines are
 * copied. So a payload of a few items does not keep the bytes of a whole chunk in memory. Pure: no I/O.
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
    /* Item seen_item begins at byte seen_at of `lines`. So items that are taken one after the other are found without
     * counting lines from the start again. */
    uint64_t seen_item;
    size_t seen_at;
};

/* Takes ownership of the memory of `lines`, and leaves `lines` empty. */
MUST_CHECK struct payload *payload_new(struct buf *lines, uint64_t count);
/* Returns `part` with items [from, to) of `whole` added at its end. If `part` is NULL, makes a payload. No attempt may
 * use the lines of `part` yet. */
MUST_CHECK struct payload *payload_add(struct payload *part, struct payload *whole, uint64_t from, uint64_t to);
void payload_free(struct payload *p);
/* Returns the lines of items [from, to), borrowed from p. */
const char *payload_range(struct payload *p, uint64_t from, uint64_t to, size_t *len);

#endif
