#include <math.h>

#include "coordinator/sched/scheduler_internal.h"

#define HALVE_AFTER_LOST 2

/*
 * Finds the item that crashed a worker. When a worker vanishes, any item that the worker had may be the cause. A chunk
 * that has lost two workers is a poison suspect. A poison suspect is halved, and each half that loses another worker is
 * halved again. So a poison item of a chunk of n items is alone after log2(n) steps. A worker gets only one suspect at
 * a time, so that no item is blamed for a crash that an item of another chunk caused. If one more lost worker would
 * make an item fail permanently, this item runs alone on a worker.
 */

bool halving_is_poison_suspect(const struct sched_chunk *chunk)
{
    return chunk->lost >= HALVE_AFTER_LOST;
}

bool halving_allows(const struct sched_chunk *chunk, const struct sched_lane *l)
{
    return !chunk || !halving_is_poison_suspect(chunk) || l->endpoint->poison_suspects < lane_workers(l);
}

/* Counts a lost worker. If the worker had answered at least half of the attempt's items, earlier losses of the
 * remaining items no longer count. */
void halving_count_lost(struct sched_chunk *chunk, const struct sched_attempt *a)
{
    chunk->failures++;
    chunk->failures_alone += a->to - a->from == 1;
    bool much = a->received > 0 && 2 * a->received >= a->to - a->from;
    chunk->lost = much ? 1 : chunk->lost + 1;
    chunk->charged = much ? 1 : chunk->charged + 1;
}

/* Returns how many failed attempts are charged to the items of the chunk. After a chunk has lost HALVE_AFTER_LOST
 * workers, it is halved to find the item that crashes workers. After the first halving, a lost worker is charged only
 * to an item that was alone in the attempt. */
unsigned halving_charged(const struct sched_chunk *chunk)
{
    unsigned halvings = chunk->lost > HALVE_AFTER_LOST ? chunk->lost - HALVE_AFTER_LOST : 0;
    unsigned shared = halvings > chunk->failures_alone ? halvings - chunk->failures_alone : 0;
    return chunk->erred + chunk->charged - shared;
}

bool halving_needs_isolation(const struct sched_chunk *chunk)
{
    return chunk->lost > 0 && retry_used_up(chunk, 1);
}

/* Keeps the lower half of the unanswered items, and returns the upper half. */
static struct sched_chunk *halve(struct sched_chunk *chunk)
{
    return chunk_split(chunk, chunk->answered + chunk_left(chunk) / 2);
}

void halving_on_lost(struct sched_chunk *chunk, const struct sched_attempt *a, const char *cause)
{
    const struct sched_job_params *p = &chunk->job->p;
    bool again = p->idempotent && p->retry.max_attempts > 1 && retry_is_on(chunk->job, ITEM_WORKER_LOST);
    halving_count_lost(chunk, a);
    if (!again || retry_used_up(chunk, 0)) {
        chunk->charged = chunk->failures > chunk->charged ? chunk->failures : chunk->charged;
        chunk_give_up(chunk, ITEM_WORKER_LOST, cause);
        return;
    }
    chunk->cause = cause;
    retry_count_items(chunk);
    if (halving_is_poison_suspect(chunk) && chunk_left(chunk) > 1) retry_backoff(halve(chunk));
    retry_backoff(chunk);
}
