/*
 * Chooses the items of a chunk that get a span of their own: the first ITEM_TRACE_FAILED that failed, and the first
 * ITEM_TRACE_OTHERS that did not fail. So a million items do not make a million spans. The span of the request counts
 * the items without a span. A pure module, except that it calls the clock function that its owner passes.
 *
 * The span of an item begins when its process begins the item, and ends when the answer is read. Quick items are
 * answered in batches. All items of a batch have the same start and end, and `together` is the number of items in the
 * batch.
 */
#ifndef FANTAIL_WORKER_CHUNK_ITEM_TRACE_H
#define FANTAIL_WORKER_CHUNK_ITEM_TRACE_H

#include "protocol/protocol.h"

#define ITEM_TRACE_OTHERS 16
#define ITEM_TRACE_FAILED 128

struct item_record {
    uint64_t index; /* index of the item in its chunk */
    uint64_t start_ns, end_ns;
    uint64_t together;
    bool failed;
    enum item_error error;
};

struct item_trace {
    uint64_t (*clock)(void);
    struct item_record *records;
    size_t count, alloc;
    size_t others, failed; /* numbers of records of items that did not fail, and that failed */
    uint64_t answered;     /* items answered, recorded or not */
    uint64_t failed_seen;  /* the chunk's count of failed items after the last call */
    /* The answers that are being recorded. */
    struct item_record next;
    uint64_t left, failed_left; /* answers whose lines were not passed yet; how many of these are errors */
};

struct item_trace *item_trace_new(uint64_t (*clock)(void));
void item_trace_free(struct item_trace *t);

/* Begins to record n answers of the items from `first` on. The process began these items at since_ns. failed_total is
 * the number of failed items of the chunk, including the failed ones among these n items. */
void item_trace_answers(struct item_trace *t, uint64_t first, uint64_t since_ns, uint64_t n, uint64_t failed_total);
/* Records these answers. May be called several times, each time with whole lines. */
void item_trace_lines(struct item_trace *t, const char *lines, size_t len);

#endif
