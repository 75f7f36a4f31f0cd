/*
 * Finds out which durable jobs a coordinator can run on its own workers. The coordinator sends two lists of tasks to
 * the job store (store.h, STORE_CLAIM): the tasks that its workers have, and the tasks for which these workers have
 * free slots. The lists of all coordinators decide which coordinator runs a job. Pure.
 */
#ifndef FANTAIL_COORDINATOR_CLAIMS_CLAIM_OFFER_H
#define FANTAIL_COORDINATOR_CLAIMS_CLAIM_OFFER_H

#include "common/base/buf.h"
#include "coordinator/fleet/task_catalog.h"
#include "coordinator/sched/sched_stats.h"

/* What the coordinator knows. */
struct claim_view {
    struct catalog *catalog;
    const struct scheduler *scheduler;
    uint64_t coming;  /* jobs whose demand the scheduler does not know yet; each of these jobs counts as one slot */
    uint64_t leaving; /* the demand of the job that may be handed back; this demand is not counted */
};

/* Returns whether at least one slot stays free if jobs use `demand` of the `slots` slots. If `slots` is 0, the number
 * of slots is not known, and one slot is assumed. */
bool claim_leaves_slots(uint64_t slots, uint64_t demand);
/* Returns whether the workers have these tasks: a task, or the comma-separated tasks of a pipeline. A task counts only
 * if a worker that has it can be reached. */
bool claim_serves(const struct claim_view *v, const char *tasks);
/* Returns whether the workers have these tasks, and have a free slot for each of them. */
bool claim_opens(const struct claim_view *v, const char *tasks);
/* Writes the two lists as JSON arrays. An entry "!a,b" says that no worker has all tasks of the pipeline a,b. */
void claim_offer_write(const struct claim_view *v, struct buf *serves, struct buf *opens);

#endif
