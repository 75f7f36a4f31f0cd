#include <math.h>

#include "scheduler_parts.h"

/*
 * Deficit round robin between jobs, in slot time: the job at the head of the ring sends while its deficit is above
 * zero, then goes to the back; each turn gives it a quantum times its priority. A deficit may be overdrawn by one
 * chunk, which the next turns pay back. A job with nothing to send keeps no deficit. The quantum is the largest
 * recent cost of a chunk, so that a turn pays for at least one and few rounds go by in vain.
 */
bool fairness_may_cut(const struct sched_job *job)
{
    if (job->uncut == 0 || (job->p.max_concurrency > 0 && job->in_flight_items >= job->p.max_concurrency)) return false;
    /* Fixed chunks wait until they are full. */
    return job->p.chunk_size == 0 || job->no_more || job->uncut >= job->p.chunk_size;
}

static bool has_next(const struct sched_job *job)
{
    return !job->ended && (job->lists[CHUNK_PENDING].n > 0 || fairness_may_cut(job));
}

struct sched_job *fairness_next(struct scheduler *s)
{
    size_t in_vain = 0;
    bool any = false;
    for (;;) {
        struct sched_link *at = sched_list_next(&s->jobs, NULL);
        if (!at) return NULL;
        struct sched_job *job = CONTAINER_OF(at, struct sched_job, link);
        if (has_next(job) && !job->blocked) {
            if (job->deficit > 0) return job;
            any = true;
            job->deficit += s->quantum_ns * job->p.priority;
            if (job->deficit > 0) return job;
        } else if (!has_next(job)) {
            job->deficit = fmin(job->deficit, 0);
        }
        sched_list_remove(&s->jobs, at);
        sched_list_push_back(&s->jobs, at);
        if (++in_vain == s->jobs.n) {
            if (!any) return NULL;
            in_vain = 0;
            any = false;
        }
    }
}

void fairness_charge(struct sched_job *job, double slot_ns)
{
    struct scheduler *s = job->s;
    s->quantum_ns = fmax(fmax(slot_ns, s->quantum_ns * 0.999), (double)NS_PER_MS);
    job->deficit -= slot_ns;
    if (job->deficit <= 0) {
        sched_list_remove(&s->jobs, &job->link);
        sched_list_push_back(&s->jobs, &job->link);
    }
}
