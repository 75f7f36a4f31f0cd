/* Pauses a job whose answers are read too slowly. */
#include "coordinator/job/job_internal.h"
#include "coordinator/job/job_keeper.h"

/* Returns whether the answers are read while the job runs. If the answers are sent as one document at the end of the
 * job, or if the body has not arrived completely, the answers are read later. The job must not pause for answers that
 * are read later. */
static bool is_read_meanwhile(const struct job *j)
{
    const struct reader *r = j->submission.reader;
    return j->readable && (job_is_reduced(j) || (r && r->ndjson));
}

/* Returns whether the temporary files of all jobs have reached half of their limit. The other half of the limit is for
 * the answers of items in flight, and for jobs that must not pause. */
static bool spill_is_scarce(const struct spill_dir *d)
{
    return d->max_bytes > 0 && d->used_bytes > d->max_bytes / 2;
}

static bool is_read_too_slowly(const struct job *j)
{
    bool behind = collector_spilled_bytes(j->answers.collector) > 0;
    return behind && (j->paused || (is_read_meanwhile(j) && spill_is_scarce(&j->jobs->spill)));
}

void job_pause_or_resume(struct job *j)
{
    if (j->state != JOB_RUNNING) return;
    bool pause = j->keeper ? j->keeper->ops->is_behind(j->keeper->keeper) : is_read_too_slowly(j);
    if (pause == j->paused) return;
    j->paused = pause;
    if (pause)
        list_push_back(&j->jobs->paused, &j->paused_link);
    else
        list_remove(&j->jobs->paused, &j->paused_link);
    sched_job_pause(j->phase.sched, pause);
    scheduler_timing_want(j->jobs->turn);
}
