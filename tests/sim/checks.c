#include <math.h>

#include "sim/world.h"

/* The functions below check the invariants that hold between two events, and the invariants that hold at the end of a
 * simulated run. */
/* The load of a job is the sum of the weights of the unanswered items of its attempts. */
static void check_share(struct sim_world *w, const struct sched_job *job)
{
    double load = 0;
    for (size_t i = 0; i < w->s->endpoints_n; i++) {
        const struct list *all = &w->s->endpoints[i]->attempts;
        for (struct list_link *at = list_next(all, NULL); at; at = list_next(all, at)) {
            const struct sched_attempt *a = CONTAINER_OF(at, struct sched_attempt, link);
            if (a->chunk->job == job) load += a->weight * (a->to - a->from - a->received);
        }
    }
    if (fabs(load - job->load) > 1e-6 * (1 + load))
        sim_broken(w, "the scheduler counts a load of %.3f for a job, its attempts have %.3f", job->load, load);
}

/* The load and the items in flight of a lane are sums over the unanswered items of the lane's attempts. */
static void check_lane(struct sim_world *w, const struct sched_lane *l)
{
    const struct list *all = &l->endpoint->attempts;
    double load = 0;
    uint64_t items = 0;
    size_t n = 0;
    for (struct list_link *at = list_next(all, NULL); at; at = list_next(all, at)) {
        const struct sched_attempt *a = CONTAINER_OF(at, struct sched_attempt, link);
        if (a->lane != l) continue;
        n++;
        load += a->weight * (a->to - a->from - a->received);
        items += a->to - a->from - a->received;
    }
    if (n != l->attempts_n || items != l->in_flight || fabs(load - l->load) > 1e-6 * (1 + load))
        sim_broken(w, "the scheduler counts a load of %.3f for a lane, its attempts have %.3f", l->load, load);
}

static void check_endpoint(struct sim_world *w, const struct sched_endpoint *e)
{
    if (!endpoint_takes_attempts(e) && e->timer.node.place == 0)
        sim_broken(w, "an endpoint is %s, and its timer is not set", sched_endpoint_state_name(e->state));
    for (struct list_link *at = list_next(&e->lanes, NULL); at; at = list_next(&e->lanes, at))
        check_lane(w, CONTAINER_OF(at, struct sched_lane, endpoint_link));
}

/* The item counts of a task are the sums over the jobs of the task, and the task's count of full lanes is right. */
static void check_task(struct sim_world *w, const struct sched_task *t)
{
    uint64_t pending = 0, backoff = 0, in_flight = 0, uncut = 0;
    for (struct list_link *at = list_next(&t->jobs, NULL); at; at = list_next(&t->jobs, at)) {
        const struct sched_job *job = CONTAINER_OF(at, struct sched_job, task_link);
        pending += job->pending_items;
        backoff += job->backoff_items;
        in_flight += job->in_flight_items;
        uncut += job->uncut;
    }
    uint32_t full = 0;
    for (struct list_link *at = list_next(&t->lanes, NULL); at; at = list_next(&t->lanes, at)) {
        const struct sched_lane *l = CONTAINER_OF(at, struct sched_lane, task_link);
        full += l->full;
        if (l->full && l->timer.node.place == 0) sim_broken(w, "a lane is full, and its timer is not set");
    }
    if (full != t->full) sim_broken(w, "task %s counts %u full lanes, but %u are full", t->name, t->full, full);
    if (pending != t->pending_items || backoff != t->backoff_items || in_flight != t->in_flight_items ||
        uncut != t->uncut_items)
        sim_broken(w, "the item counts of task %s are not the sums over its jobs", t->name);
}

static bool works(const struct sched_attempt *a)
{
    return a && !a->lingers && !a->dead;
}

/* A chunk may have two attempts. When all items of the chunk are answered, an attempt that has not answered all of its
 * own items is cut off. After a job has ended, the scheduler may need several runs to cut off the attempts of the job.
 */
static void check_losers(struct sim_world *w, const struct sched_job *job)
{
    const struct list *flying = &job->lists[CHUNK_IN_FLIGHT];
    for (struct list_link *at = list_next(flying, NULL); at; at = list_next(flying, at)) {
        const struct sched_chunk *chunk = CONTAINER_OF(at, struct sched_chunk, link);
        if (chunk->answered == chunk->count && (works(chunk->attempt) || works(chunk->hedge)))
            sim_broken(w, "an attempt runs, but its chunk is answered");
        if (!chunk->attempt && !chunk->hedge && !job_has_ended(job))
            sim_broken(w, "a chunk is in flight without an attempt");
    }
}

/* The counts that a job keeps for its waiting chunks are the sums over these chunks. */
static void check_waiting(struct sim_world *w, const struct sched_job *job)
{
    size_t bytes = 0, starved = 0;
    for (int state = CHUNK_PENDING; state <= CHUNK_BACKOFF; state++)
        for (struct list_link *at = list_next(&job->lists[state], NULL); at; at = list_next(&job->lists[state], at)) {
            const struct sched_chunk *chunk = CONTAINER_OF(at, struct sched_chunk, link);
            bytes += retry_wait_bytes(chunk);
            starved += chunk->starved;
            if (!chunk->payload && !chunk->parent) sim_broken(w, "a chunk waits, and has no items");
        }
    if (bytes != job->wait_bytes || starved != job->starved_n)
        sim_broken(w, "a job counts %zu waiting bytes, its chunks have %zu", job->wait_bytes, bytes);
}

/* A chunk stays in backoff for at most its delay. If the retry budget is used up, a chunk may also stay in backoff for
 * the interval between the retries that are still allowed. */
static void check_backoff(struct sim_world *w, const struct sched_job *job)
{
    const struct list *backoff = &job->lists[CHUNK_BACKOFF];
    for (struct list_link *at = list_next(backoff, NULL); at; at = list_next(backoff, at)) {
        const struct sched_chunk *chunk = CONTAINER_OF(at, struct sched_chunk, link);
        double longest = fmax(w->sc->params.retry.max_delay_s, 1) + 0.01;
        if (chunk->timer.node.place == 0) sim_broken(w, "a chunk is in backoff, and its timer is not set");
        if (chunk->timer.node.key > w->now_ns && (double)(chunk->timer.node.key - w->now_ns) / 1e9 > longest)
            sim_broken(w, "a chunk waits %.3f s in backoff", (double)(chunk->timer.node.key - w->now_ns) / 1e9);
    }
}

static void check_job(struct sim_world *w, struct sim_job *job)
{
    const struct sched_job *j = job->job;
    if (!j) return;
    struct sched_counts counts = sched_job_counts(j);
    uint64_t open = j->uncut + j->pending_items + j->backoff_items + j->in_flight_items;
    uint64_t settled = counts.succeeded + counts.failed + counts.cancelled;
    if (settled + open != counts.total)
        sim_broken(w, "job %u: %llu items are settled, %llu open, of %llu", job->index, (unsigned long long)settled,
                   (unsigned long long)open, (unsigned long long)counts.total);
    double most = fmax(w->sc->params.hedge_max_extra_percent / 100 * (double)job->total, 1);
    if ((double)job->hedged_items > most)
        sim_broken(w, "job %u: %llu items hedged, %.0f allowed", job->index, (unsigned long long)job->hedged_items,
                   most);
    if (w->sc->params.deadline_ns != SCHED_NEVER && job->index == 0 && !job_has_ended(j) &&
        (double)w->now_ns / 1e9 > job->start_s + (double)w->sc->params.deadline_ns / 1e9 + 0.001)
        sim_broken(w, "job %u runs on after its deadline", job->index);
    if (!w->sc->check_items) return; /* the checks below walk lists, which is too slow for the largest runs */
    check_waiting(w, j);
    if (job_has_ended(j)) return; /* the job is being settled: its attempts are cut off, and its timers are stopped */
    check_backoff(w, j);
    if (w->result.events % 8 == 0) check_losers(w, j);
}

void sim_check_step(struct sim_world *w)
{
    struct sched_stats stats = sched_stats(w->s);
    if (stats.memory_bytes > w->result.peak_memory) w->result.peak_memory = stats.memory_bytes;
    if (!w->sc->forget_dead && 2 * stats.endpoints[ENDPOINT_EJECTED] > w->s->endpoints_n)
        sim_broken(w, "%llu of %u endpoints are ejected", (unsigned long long)stats.endpoints[ENDPOINT_EJECTED],
                   w->s->endpoints_n);
    double budget = BUDGET_SHARE * (double)stats.attempts_first + BUDGET_MIN * w->sc->jobs + 1 +
                    (double)(w->now_ns - NS_PER_S) / (double)BUDGET_TRICKLE_NS * w->sc->jobs;
    if ((double)stats.attempts_retry > budget)
        sim_broken(w, "%llu retries, %.0f in the budget", (unsigned long long)stats.attempts_retry, budget);
    uint64_t most =
        (uint64_t)(w->s->endpoints_n + 1) * 2 * CHUNKS_PER_WORKER + 4 * stats.attempts_retry + 64 +
        w->sc->items * (w->sc->faults.item_crash > 0 || w->sc->params.retry.on & SCHED_RETRY_ON(ITEM_TASK_ERROR));
    if (!w->balancer && stats.chunks > most) sim_broken(w, "%llu chunks exist", (unsigned long long)stats.chunks);
    for (unsigned i = 0; i < w->s->endpoints_n && w->sc->check_items && w->result.events % 8 == 0; i++)
        check_endpoint(w, w->s->endpoints[i]);
    for (struct list_link *at = list_next(&w->s->tasks, NULL); at && w->result.events % 8 == 0;
         at = list_next(&w->s->tasks, at))
        check_task(w, CONTAINER_OF(at, struct sched_task, link));
    for (unsigned i = 0; i < w->sc->jobs && w->sc->check_items && w->result.events % 8 == 0; i++)
        if (w->jobs[i].job) check_share(w, w->jobs[i].job);
    for (unsigned i = 0; i < w->sc->jobs && (w->result.events % 16 == 0 || w->sc->check_items); i++)
        check_job(w, &w->jobs[i]);
}

static void check_status(struct sim_world *w, const struct sim_job *job)
{
    const struct sched_counts *c = &job->outcome.counts;
    enum sched_status status = job->outcome.status;
    if (c->succeeded != job->succeeded || c->failed != job->failed || c->cancelled != job->cancelled)
        sim_broken(w, "job %u counts %llu/%llu/%llu, the simulation %llu/%llu/%llu", job->index,
                   (unsigned long long)c->succeeded, (unsigned long long)c->failed, (unsigned long long)c->cancelled,
                   (unsigned long long)job->succeeded, (unsigned long long)job->failed,
                   (unsigned long long)job->cancelled);
    if (status == SCHED_SUCCEEDED && job->succeeded != job->total)
        sim_broken(w, "job %u has succeeded with %llu of %llu items", job->index, (unsigned long long)job->succeeded,
                   (unsigned long long)job->total);
    const struct sched_job_params *p = &w->sc->params;
    bool too_many = job->failed > p->tolerated_failure_count ||
                    (double)job->failed * 100 > p->tolerated_failure_percentage * (double)job->total;
    if (too_many && (status == SCHED_SUCCEEDED || status == SCHED_PARTIAL))
        sim_broken(w, "job %u is %s with %llu failed items", job->index, sched_status_name(status),
                   (unsigned long long)job->failed);
    if (!too_many && status == SCHED_FAILED && !job->outcome.no_workers)
        sim_broken(w, "job %u has failed with %llu failed items", job->index, (unsigned long long)job->failed);
}

static void check_items(struct sim_world *w, const struct sim_job *job)
{
    unsigned halvings = 2;
    for (uint32_t n = job->largest_chunk; n > 1; n /= 2) halvings++;
    unsigned attempts = w->sc->params.retry.max_attempts + halvings;
    for (uint64_t i = 0; i < job->offered && job->book; i++) {
        if (!(job->book[i] & BOOK_SETTLED))
            sim_broken(w, "item %llu of job %u was never settled", (unsigned long long)i, job->index);
        if (job->charged[i] > attempts)
            sim_broken(w, "item %llu failed in %u attempts", (unsigned long long)i, job->charged[i]);
        if (!w->sc->params.idempotent && job->starts[i] > 1)
            sim_broken(w, "item %llu was started %u times", (unsigned long long)i, job->starts[i]);
    }
    for (unsigned k = 0; k < job->poison_n && job->book; k++)
        if (job->charged[job->poison[k]] > w->result.poison_attempts)
            w->result.poison_attempts = job->charged[job->poison[k]];
}

static void sum_work(struct sim_world *w)
{
    struct sim_result *r = &w->result;
    double longest = 0;
    for (unsigned j = 0; j < w->sc->jobs; j++) {
        for (uint64_t i = 0; i < w->jobs[j].total; i++) {
            double seconds = item_seconds(&w->jobs[j], i);
            r->work_s += seconds;
            longest = fmax(longest, seconds);
        }
    }
    r->ideal_s = r->work_s / (w->sc->workers * w->sc->slots) + longest;
    uint64_t all = 0;
    for (unsigned i = 0; i < w->workers_n; i++) {
        all += w->workers[i].items_done;
        r->workers_used += w->workers[i].items_done > 0;
        if (w->workers[i].items_done > r->load_max) r->load_max = (unsigned)w->workers[i].items_done;
    }
    if (w->workers_n) r->load_mean = (unsigned)(all / w->workers_n);
}

void sim_check_end(struct sim_world *w)
{
    struct sim_result *r = &w->result;
    if (w->jobs_running == 0 && w->payloads > 0)
        sim_broken(w, "%llu payloads were not released", (unsigned long long)w->payloads);
    if (w->jobs_running > 0) sim_broken(w, "%u jobs have not ended", w->jobs_running);
    for (unsigned i = 0; i < w->s->endpoints_n && w->sc->check_items && w->result.events % 8 == 0; i++)
        check_endpoint(w, w->s->endpoints[i]);
    for (struct list_link *at = list_next(&w->s->tasks, NULL); at && w->result.events % 8 == 0;
         at = list_next(&w->s->tasks, at))
        check_task(w, CONTAINER_OF(at, struct sched_task, link));
    for (unsigned i = 0; i < w->sc->jobs && !w->stop; i++) {
        struct sim_job *job = &w->jobs[i];
        if (job->settled != (job->outcome.status == SCHED_SUCCEEDED ? job->total : job->offered) &&
            job->settled != job->outcome.counts.total)
            sim_broken(w, "%llu items are settled, %llu were offered", (unsigned long long)job->settled,
                       (unsigned long long)job->outcome.counts.total);
        check_status(w, job);
        if (job->settled == job->offered) check_items(w, job);
        r->makespan_s = fmax(r->makespan_s, job->end_s - job->start_s);
        if (task_of(job) == 1) r->second_task_s = fmax(r->second_task_s, job->end_s - job->start_s);
        if (i > 0) r->small_job_s += (job->end_s - job->start_s) / (w->sc->jobs - 1);
    }
    if (w->stop) return;
    r->largest_chunk = w->jobs[0].largest_chunk;
    r->first_job_s = w->jobs[0].end_s - w->jobs[0].start_s;
    r->status = w->jobs[0].outcome.status;
    r->counts = w->jobs[0].outcome.counts;
    r->stats = sched_stats(w->s);
    sum_work(w);
}
