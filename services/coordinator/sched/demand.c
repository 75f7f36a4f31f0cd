#include <math.h>

#include "coordinator/sched/scheduler_internal.h"

/* Returns how many slots the job would keep busy if there were enough slots. While the cost of an item is unknown,
 * returns one slot for each item. When the cost is known, returns the number of slots that would finish the work in one
 * second. With max_rate, the work of one second is at most that of max_rate items. */
static uint64_t demand_of(const struct sched_job *job)
{
    uint64_t uncut = job->paused ? 0 : job->uncut + job->expected;
    uint64_t items = uncut + job->pending_items + job->backoff_items + job->in_flight_items;
    double slots = (double)items;
    double item_ns = chunker_item_ns(job);
    if (item_ns > 0) slots = fmin(slots, ceil(slots * item_ns / (double)NS_PER_S));
    if (job->p.max_rate > 0)
        slots = fmin(slots, ceil(job->p.max_rate * (item_ns > 0 ? item_ns / (double)NS_PER_S : 1)));
    if (job->p.max_concurrency > 0) slots = fmin(slots, (double)job->p.max_concurrency);
    return (uint64_t)slots;
}

/* Updates `demand_slots` of the job, its task and the scheduler after the job has changed. */
void demand_update(struct sched_job *job)
{
    uint64_t slots = demand_of(job);
    job->s->demand_slots += slots - job->demand_slots;
    job->task->demand_slots += slots - job->demand_slots;
    job->demand_slots = slots;
}

void demand_forget(struct sched_job *job)
{
    job->s->demand_slots -= job->demand_slots;
    job->task->demand_slots -= job->demand_slots;
}
