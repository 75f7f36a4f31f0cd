/* Which items a chunk has: the numbers of the items in the records of shell.c. */
#include "sim/world.h"

uint64_t payload_item(const struct sim_payload *payload, uint32_t i)
{
    return payload->items ? payload->items[i] : payload->first + i;
}

size_t payload_slice(void *ctx, struct sched_chunk *whole, uint32_t at, uint32_t end, struct sched_chunk *part)
{
    struct sim_world *w = ctx;
    const struct sim_payload *from = whole->payload;
    struct sim_payload *payload = part->payload;
    if (!w->in_run) sim_broken(w, "slice() outside of scheduler_run()");
    if (!from || at >= end || end > from->count) {
        sim_broken(w, "a slice lies outside of its chunk");
        return 0;
    }
    if (!payload) {
        payload = part->payload = xcalloc(1, sizeof *payload);
        payload->first = payload_item(from, at);
        payload->failed_at = part->avoid;
        w->payloads++;
    }
    payload->items = xrealloc(payload->items, (payload->count + end - at) * sizeof *payload->items);
    for (uint32_t i = at; i < end; i++) payload->items[payload->count++] = payload_item(from, i);
    return (end - at) * SIM_ITEM_BYTES;
}

void payload_release(void *ctx, struct sched_chunk *chunk)
{
    struct sim_world *w = ctx;
    struct sim_payload *payload = chunk->payload;
    w->payloads -= payload != NULL;
    if (payload) free(payload->items);
    free(payload);
    chunk->payload = NULL;
}
