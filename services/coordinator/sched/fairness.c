#include <math.h>

#include "coordinator/sched/scheduler_internal.h"

/*
 * Deficit round robin between jobs, in slot time: a job may send while its deficit is above zero, the one with the most
 * of it first; then it goes to the back of the ring. When nobody is in credit, each that has something to send gets a
 * quantum times its priority. A deficit may be overdrawn by one chunk, which the next quanta pay back; a job with
 * nothing to send keeps none; a new job begins with a quantum. The quantum is the largest recent cost of a chunk, so
 * that it pays for at least one.
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

/* What a look around the ring has shown. */
struct round {
    struct sched_job *in_credit; /* of those that may send, the one with the most credit, or NULL */
    bool any;                    /* some job could send if it were in credit */
    bool held;                   /* some job is in credit and finds no room */
    double rounds;               /* of quanta until one of those that could send is in credit */
};

/* In rounds. */
static double credit(const struct sched_job *job)
{
    return job->deficit / fairness_quantum(job);
}

static struct round look_around(struct scheduler *s)
{
    struct round r = {.rounds = HUGE_VAL};
    for (struct list_link *at = list_next(&s->jobs, NULL); at; at = list_next(&s->jobs, at)) {
        struct sched_job *job = CONTAINER_OF(at, struct sched_job, link);
        if (!has_next(job)) {
            job->deficit = fmin(job->deficit, 0);
        } else if (job->blocked) {
            r.held |= job->deficit > 0;
        } else if (job->deficit > 0) {
            if (!r.in_credit || credit(job) > credit(r.in_credit)) r.in_credit = job;
        } else {
            r.any = true;
            r.rounds = fmin(r.rounds, floor(-job->deficit / fairness_quantum(job)) + 1);
        }
    }
    return r;
}

double fairness_quantum(const struct sched_job *job)
{
    return job->s->quantum_ns * job->p.priority;
}

struct sched_job *fairness_next(struct scheduler *s)
{
    for (;;) {
        struct round r = look_around(s);
        if (r.in_credit) return r.in_credit;
        /* Whose turn it is keeps it until there is room again, unless there is and it is no use to that job. */
        if (!r.any || (r.held && s->available_n == 0)) return NULL;
        for (struct list_link *at = list_next(&s->jobs, NULL); at; at = list_next(&s->jobs, at)) {
            struct sched_job *job = CONTAINER_OF(at, struct sched_job, link);
            double quantum = fairness_quantum(job);
            if (has_next(job)) job->deficit = fmin(job->deficit + r.rounds * quantum, quantum);
        }
    }
}

void fairness_charge(struct sched_job *job, double slot_ns)
{
    struct scheduler *s = job->s;
    s->quantum_ns = fmax(fmax(slot_ns, s->quantum_ns * 0.999), (double)NS_PER_MS);
    job->deficit -= slot_ns;
    if (job->deficit <= 0) {
        list_remove(&s->jobs, &job->link);
        list_push_back(&s->jobs, &job->link);
    }
}
