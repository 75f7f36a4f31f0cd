/*
 * Which items of a chunk get a span of their own: the first ITEM_TRACE_OTHERS, and of those that failed the first
 * ITEM_TRACE_FAILED. A million items must not make a million spans; the chunk's own span counts the others. A chunk
 * that is not recorded has none of this. A pure module, but for the clock it is given.
 *
 * An item's time is from when its process turned to it until its answer was read. Quick items are answered together:
 * they share these two instants, and `together` says how many did.
 */
#ifndef FANTAIL_WORKER_CHUNK_ITEM_TRACE_H
#define FANTAIL_WORKER_CHUNK_ITEM_TRACE_H

#include "protocol/protocol.h"

#define ITEM_TRACE_OTHERS 16
#define ITEM_TRACE_FAILED 128

struct item_record {
    uint64_t index; /* in its chunk */
    uint64_t start_ns, end_ns;
    uint64_t together;
    bool failed;
    enum item_error error;
};

struct item_trace {
    uint64_t (*clock)(void);
    struct item_record *records;
    size_t count, alloc;
    size_t others, failed; /* of the records */
    uint64_t answered;     /* items, recorded or not */
    uint64_t failed_seen;  /* of the chunk's count */
};

struct item_trace *item_trace_new(uint64_t (*clock)(void));
void item_trace_free(struct item_trace *t);

/* n answers, as whole lines, from item `first` on, which a process had turned to at since_ns. failed_total: those of
 * the chunk up to and with these. */
void item_trace_answers(struct item_trace *t, uint64_t first, uint64_t since_ns, const char *lines, size_t len,
                        uint64_t n, uint64_t failed_total);

#endif
