#include "coordinator/sched/scheduler_internal.h"

/*
 * Chooses which job of a task sends next, by start-time fair queueing of slot time (Goyal, Vin, Cheng: "Start-time Fair
 * Queueing", 1996). The virtual time of a job grows by the slot time that the job gets, divided by the job's priority.
 * The job with the least virtual time sends first. A new job, or a job that had nothing to send, starts at its task's
 * virtual time. So a job gets no credit for the time during which it sent nothing. Jobs that can send are in a heap, so
 * that a choice costs O(log n).
 */
#define VTIME_PER_NS 64.0 /* at priority 1; with a factor of 1, the time of cheap items could round to 0 */

bool fairness_may_cut(struct sched_job *job)
{
    if (job->uncut == 0 || job->paused || job->wait_bytes > RETRY_WAIT_BYTES ||
        (job->p.max_concurrency > 0 && job->in_flight_items >= job->p.max_concurrency))
        return false;
    /* If the job has a fixed chunk size, a chunk is not sent before it is full. */
    if (job->p.chunk_size > 0 && !job_is_whole(job) && job->uncut < job->p.chunk_size) return false;
    return !chunker_ramp_is_full(job) && rate_may_send(job);
}

static bool may_send_pending(struct sched_job *job)
{
    if (job->lists[CHUNK_PENDING].n == 0) return false;
    if (job->p.max_concurrency > 0 && job->in_flight_items >= job->p.max_concurrency) return false;
    return rate_may_send(job);
}

static bool is_ready(struct sched_job *job)
{
    return !job_has_ended(job) && !job->blocked && !job->held && (may_send_pending(job) || fairness_may_cut(job));
}

void fairness_update(struct sched_job *job)
{
    struct sched_task *t = job->task;
    bool ready = is_ready(job);
    if (ready == (job->ready_node.place != 0)) return;
    if (!ready) {
        heap_remove(&t->ready, &job->ready_node);
        return;
    }
    if (job->vtime < t->vtime) job->vtime = t->vtime;
    heap_set(&t->ready, &job->ready_node, job->vtime);
}

void fairness_forget(struct sched_job *job)
{
    heap_remove(&job->task->ready, &job->ready_node);
    if (job->blocked) list_remove(&job->task->blocked, &job->blocked_link);
    job->blocked = false;
}

struct sched_job *fairness_next(const struct sched_task *t)
{
    struct heap_node *first = heap_first(&t->ready);
    return first ? CONTAINER_OF(first, struct sched_job, ready_node) : NULL;
}

void fairness_charge(struct sched_job *job, double slot_ns)
{
    struct sched_task *t = job->task;
    if (job->vtime > t->vtime) t->vtime = job->vtime;
    job->vtime += (uint64_t)(slot_ns * VTIME_PER_NS / job->p.priority) + 1;
    if (job->ready_node.place != 0) heap_set(&t->ready, &job->ready_node, job->vtime);
}

static uint64_t less(uint64_t vtime, double change, uint64_t floor)
{
    uint64_t back = (uint64_t)change;
    if (vtime <= floor) return vtime;
    return vtime - floor > back ? vtime - back : floor;
}

void fairness_correct(struct sched_job *job, double charged_ns, double cost_ns)
{
    struct sched_task *t = job->task;
    double change = (cost_ns - charged_ns) * VTIME_PER_NS / job->p.priority;
    job->vtime = change < 0 ? less(job->vtime, -change, t->vtime) : job->vtime + (uint64_t)change;
    if (job->ready_node.place != 0) heap_set(&t->ready, &job->ready_node, job->vtime);
}

void fairness_block(struct sched_job *job)
{
    job->blocked = true;
    list_push_back(&job->task->blocked, &job->blocked_link);
    fairness_update(job);
}

void fairness_unblock_all(struct sched_task *t)
{
    struct list_link *at;
    while ((at = list_next(&t->blocked, NULL)) != NULL) {
        struct sched_job *job = CONTAINER_OF(at, struct sched_job, blocked_link);
        list_remove(&t->blocked, at);
        job->blocked = false;
        fairness_update(job);
    }
}
