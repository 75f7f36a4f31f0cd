/*
 * The metrics of the job store: its calls, its transactions and its blocks, and from time to time the figures of the
 * whole store. Used only on the thread of the loop. Owner: the coordinator.
 */
#ifndef FANTAIL_COORDINATOR_STORE_STORE_METRICS_H
#define FANTAIL_COORDINATOR_STORE_STORE_METRICS_H

#include "coordinator/store/store.h"

struct metric_histogram;

struct store_metrics {
    uint64_t *calls[STORE_STATUS_COUNT];
    struct metric_histogram *seconds[STORE_OP_COUNT];
    uint64_t *commits;
    uint64_t *blocks[BLOCK_KIND_COUNT], *bytes[BLOCK_KIND_COUNT];
    int64_t *waits_for_room; /* 1: the disk of the store is full, so the store is not open or uses its reserve */
    int64_t *pending, *oldest_s, *size;

    /* Private. */
    bool is_reading;  /* a call for the figures of the store is open */
    uint64_t read_ns; /* when such a call was last started */
};

/* Registers the metrics. */
void store_register_metrics(struct store_metrics *m);
/* Counts a call that is done. */
void store_metrics_count(struct store_metrics *m, const struct store_call *call);
/* Call it often. If the next reading is due, reads the figures of the store. Does nothing if the store has no
 * metrics. */
void store_metrics_tick(struct store *s, uint64_t now_ns);

#endif
