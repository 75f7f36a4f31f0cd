#include <math.h>

#include "sim/world.h"

/*
 * Plays the coordinator for the scheduler. This file records the state of every item independently of the scheduler,
 * and checks each event when the event happens. checks.c checks the whole state.
 */
enum { GAP = 3 }; /* in scenarios with runs, how many indexes are missing after each run of items */

/* The records number the items of a job without gaps. The scheduler uses the indexes of the items, which may have
 * gaps. */
static uint64_t index_of(const struct sim_job *job, uint64_t item)
{
    uint64_t run = job->w->sc->run;
    return run > 0 ? item + item / run * GAP : item;
}

static uint64_t item_of(const struct sim_job *job, uint64_t index)
{
    uint64_t run = job->w->sc->run;
    if (run == 0) return index;
    if (index % (run + GAP) >= run) sim_broken(job->w, "there is no item %llu", (unsigned long long)index);
    return index - index / (run + GAP) * GAP;
}

/* Returns how many items have consecutive indexes, from the next uncut item on. */
static uint64_t run_left(const struct sim_job *job)
{
    uint64_t run = job->w->sc->run, left = job->offered - job->cut;
    return run > 0 && run - job->cut % run < left ? run - job->cut % run : left;
}

static void settle(struct sim_job *job, uint64_t item, bool error)
{
    struct sim_world *w = job->w;
    if (item >= job->total) {
        sim_broken(w, "item %llu was never offered", (unsigned long long)item);
        return;
    }
    job->settled++;
    if (!job->book) return;
    if (job->book[item] & BOOK_SETTLED)
        sim_broken(w, "item %llu of job %u is settled twice", (unsigned long long)item, job->index);
    job->book[item] = (uint8_t)(BOOK_SETTLED | (error ? BOOK_ERROR : 0));
}

static size_t op_cut(void *ctx, struct sched_chunk *chunk, size_t max_items, size_t max_bytes, size_t *bytes)
{
    struct sim_world *w = ctx;
    struct sim_job *job = sched_job_owner(chunk->job);
    if (!w->in_run) sim_broken(w, "cut() outside of scheduler_run()");
    uint64_t n = run_left(job);
    n = n < max_items ? n : max_items;
    n = n < max_bytes / SIM_ITEM_BYTES ? n : max_bytes / SIM_ITEM_BYTES;
    n = n > 0 ? n : 1;
    *bytes = (size_t)n * SIM_ITEM_BYTES;
    struct sim_payload *payload = xcalloc(1, sizeof *payload);
    payload->first = job->cut;
    payload->count = (uint32_t)n;
    chunk->first = index_of(job, job->cut);
    chunk->payload = payload;
    w->payloads++;
    job->cut += n;
    if (n > job->largest_chunk) job->largest_chunk = (uint32_t)n;
    return (size_t)n;
}

static uint64_t op_drop(void *ctx, struct sched_job *j, uint64_t max_items, uint64_t *first)
{
    struct sim_world *w = ctx;
    struct sim_job *job = sched_job_owner(j);
    if (!w->in_run) sim_broken(w, "drop() outside of scheduler_run()");
    uint64_t n = run_left(job);
    n = n < max_items ? n : max_items;
    *first = index_of(job, job->cut);
    job->cut += n;
    return n;
}

static void check_send(struct sim_world *w, struct sim_job *job, const struct sched_attempt *a)
{
    const struct sched_endpoint *e = a->endpoint;
    const struct sched_lane *l = a->lane;
    const struct sched_job_params *p = &w->sc->params;
    const struct sim_payload *payload = a->chunk->payload;
    double window = lane_window(l) * OVERCOMMIT;
    double added = a->weight * (a->to - a->from);
    uint32_t items = a->to - a->from;
    if (a->from != a->chunk->answered || a->to <= a->from)
        sim_broken(w, "an attempt begins at item %u, but %u items are answered", a->from, a->chunk->answered);
    if (!endpoint_takes_attempts(e))
        sim_broken(w, "sent to an endpoint that is %s", sched_endpoint_state_name(e->state));
    if (l->in_flight > items && l->load - added > window + 1e-6)
        sim_broken(w, "a lane has a load of %.2f, but its window is %.2f", l->load, window);
    if (w->sc->tell_tasks && !w->balancer && !worker_has(w, e->owner, task_of(job)) &&
        ((struct sim_worker *)e->owner)->up)
        sim_broken(w, "sent to a worker that said it does not have the task");
    if (l->full) sim_broken(w, "sent to an endpoint that takes no more chunks of the task");
    if (l->lacks) sim_broken(w, "sent to an endpoint that does not have the task");
    if (l->attempts_n > w->s->config.max_chunks_per_worker * lane_workers(l) + (a->is_hedge ? 1 : 0))
        sim_broken(w, "an endpoint has %zu requests", e->attempts.n);
    if (e->state == ENDPOINT_PROBATION && e->attempts.n > 1)
        sim_broken(w, "an endpoint on probation has %zu requests", e->attempts.n);
    if (!w->balancer && payload->failed_at == e && !a->is_hedge && l->task->usable >= 2)
        sim_broken(w, "a chunk goes back to the worker where it failed, though %u are usable", l->task->usable);
    if (job->index == 0 && p->max_concurrency > 0 && !a->is_hedge && job->job->in_flight_items > p->max_concurrency &&
        job->job->lists[CHUNK_IN_FLIGHT].n > 1)
        sim_broken(w, "%llu items in flight", (unsigned long long)job->job->in_flight_items);
    double allowed = 1.001 + p->max_rate * ((double)w->now_ns / 1e9 - job->start_s);
    uint64_t sent =
        job->rated_items + (a->chunk->sends == 1 ? items : 0); /* a chunk that is sent again may be larger */
    if (job->index == 0 && p->max_rate > 0 && !a->is_hedge && (double)sent > allowed)
        sim_broken(w, "%llu items are sent before max_rate allows it", (unsigned long long)sent);
    if (!p->idempotent && a->is_hedge) sim_broken(w, "items that must not run twice are hedged");
}

static bool op_may_send(void *ctx)
{
    const struct sim_world *w = ctx;
    return w->sc->most_sends == 0 || w->run_sends < w->sc->most_sends;
}

static void op_send(void *ctx, struct sched_attempt *a)
{
    struct sim_world *w = ctx;
    struct sim_job *job = sched_job_owner(a->chunk->job);
    const struct sim_payload *payload = a->chunk->payload;
    if (!w->in_run) sim_broken(w, "send() outside of scheduler_run()");
    if (!payload || payload->count < a->to) {
        sim_broken(w, "a chunk is sent that does not have all of its items");
        return;
    }
    check_send(w, job, a);
    sim_trace(w, "send job %u items %llu..%llu to %u%s", job->index, (unsigned long long)payload_item(payload, a->from),
              (unsigned long long)payload_item(payload, a->to - 1),
              w->balancer ? 0 : ((struct sim_worker *)a->endpoint->owner)->index, a->is_hedge ? " (hedge)" : "");
    if (!a->is_hedge) job->rated_items += a->to - a->from;
    if (a->is_hedge && !a->is_rescue) job->hedged_items += a->to - a->from;
    if (job->sends)
        for (uint32_t i = a->from; i < a->to; i++) {
            uint8_t *sends = &job->sends[payload_item(payload, i)];
            *sends = (uint8_t)(*sends + (*sends < 255));
        }
    if (!w->in_run || !op_may_send(w)) sim_broken(w, "send() although the shell cannot begin another attempt");
    w->run_sends++;
    sim_spend(w, w->sc->send_cost_s);
    call_new(w, a);
}

static void op_cut_off(void *ctx, struct sched_attempt *a, const char *why)
{
    struct sim_world *w = ctx;
    struct sim_call *call = a->call;
    sim_trace(w, "cut off items from %llu: %s", (unsigned long long)call->base, why);
    call_hang_up(w, call);
    call_forget(w, call);
}

static void check_error(struct sim_job *job, uint64_t index, const struct sched_failure *why)
{
    struct sim_world *w = job->w;
    const struct sched_job_params *p = &w->sc->params;
    if (why->error != ITEM_WORKER_LOST || !job->charged || why->cause == sched_cause_no_workers ||
        why->cause == sched_cause_no_task)
        return;
    if (p->idempotent && job->charged[index] < p->retry.max_attempts)
        sim_broken(w, "item %llu is given up after %u failed attempts", (unsigned long long)index, job->charged[index]);
}

static void op_settle_error(void *ctx, struct sched_job *j, uint64_t first, uint64_t count,
                            const struct sched_failure *why)
{
    struct sim_world *w = ctx;
    struct sim_job *job = sched_job_owner(j);
    if (!w->in_run) sim_broken(w, "settle_error() outside of scheduler_run()");
    sim_trace(w, "job %u items %llu..%llu end as %s: %s", job->index, (unsigned long long)first,
              (unsigned long long)(first + count - 1), item_error_name(why->error), why->cause);
    for (uint64_t i = first; i < first + count && !w->stop; i++) {
        settle(job, item_of(job, i), true);
        check_error(job, item_of(job, i), why);
    }
    if (why->error == ITEM_CANCELLED)
        job->cancelled += count;
    else
        job->failed += count;
}

static void op_job_finished(void *ctx, struct sched_job *j, const struct sched_outcome *outcome)
{
    struct sim_world *w = ctx;
    struct sim_job *job = sched_job_owner(j);
    sim_trace(w, "job %u %s: %s", job->index, sched_status_name(outcome->status),
              outcome->reason ? outcome->reason : "");
    if (!job->job) sim_broken(w, "job %u has finished twice", job->index);
    job->job = NULL;
    job->outcome = *outcome;
    job->end_s = (double)w->now_ns / 1e9;
    w->jobs_running--;
    if (job->calls > 0)
        sim_broken(w, "job %u has finished, but %llu calls still run", job->index, (unsigned long long)job->calls);
}

static void op_probe(void *ctx, struct sched_endpoint *e)
{
    struct sim_world *w = ctx;
    if (w->balancer)
        sim_at(w, 2 * w->sc->latency_s, EV_PROBED, NULL, true, 0);
    else
        worker_probe(w, e->owner);
}

void shell_ops(struct scheduler_ops *ops)
{
    *ops = (struct scheduler_ops){
        .cut = op_cut,
        .drop = op_drop,
        .slice = payload_slice,
        .release = payload_release,
        .may_send = op_may_send,
        .send = op_send,
        .cut_off = op_cut_off,
        .settle_error = op_settle_error,
        .job_finished = op_job_finished,
        .probe = op_probe,
    };
}

static void deliver_values(struct sim_world *w, struct sim_call *call, uint32_t n)
{
    struct sim_job *job = call->job;
    struct sched_accept accept = sched_attempt_answered(call->attempt, n, w->now_ns);
    if (accept.drop + accept.keep != n)
        sim_broken(w, "of %u answers %u are kept and %u dropped", n, accept.keep, accept.drop);
    for (uint32_t i = 0; i < accept.keep && !w->stop; i++) {
        uint64_t answers = call_item(call, call->delivered + accept.drop + i); /* the item that has this value */
        uint64_t taken_for = item_of(job, sched_chunk_index(call->attempt->chunk, accept.at + i));
        if (answers != taken_for)
            sim_broken(w, "the value of item %llu is taken for that of %llu", (unsigned long long)answers,
                       (unsigned long long)taken_for);
        settle(job, taken_for, false);
    }
    job->succeeded += accept.keep;
}

static void deliver_error(struct sim_world *w, struct sim_call *call, enum item_error error)
{
    struct sim_job *job = call->job;
    struct sched_item_verdict v = sched_attempt_item_error(call->attempt, error, w->now_ns);
    uint64_t index = call_item(call, call->delivered);
    if (v.index != index_of(job, index))
        sim_broken(w, "the error of item %llu is taken for that of %llu", (unsigned long long)index_of(job, index),
                   (unsigned long long)v.index);
    if (v.verdict == SCHED_ITEM_RETRIED && v.attempts >= w->sc->params.retry.max_attempts)
        sim_broken(w, "item %llu is tried again after %u attempts", (unsigned long long)index, v.attempts);
    if (v.verdict == SCHED_ITEM_FINAL) {
        settle(job, index, true);
        job->failed++;
    }
    if (v.attempts > w->sc->params.retry.max_attempts + 8u) sim_broken(w, "%u attempts of one item", v.attempts);
    if (v.verdict != SCHED_ITEM_DROPPED && job->charged && job->charged[index] < 255) job->charged[index]++;
}

static void deliver_cost(struct sim_world *w, struct sim_call *call)
{
    if (!w->sc->tell_costs || !call->attempt || call->cost_items == 0) return;
    sched_attempt_cost(call->attempt, call->cost_items, (uint64_t)(call->cost_s * 1e9),
                       (uint64_t)(w->sc->chunk_cost_s * 1e9));
}

static void deliver(struct sim_world *w, struct sim_call *call, uint32_t upto)
{
    deliver_cost(w, call);
    while (call->attempt && call->delivered < upto && !w->stop) {
        uint32_t n = 0;
        while (call->delivered + n < upto && call->results[call->delivered + n] == ANSWER_RIGHT) n++;
        if (n > 0) {
            deliver_values(w, call, n);
        } else {
            n = 1;
            bool crashed = call->results[call->delivered] == ANSWER_CRASHED;
            deliver_error(w, call, crashed ? ITEM_CRASHED : ITEM_TASK_ERROR);
        }
        call->delivered += n;
    }
}

/* Records the failure of a call, independently of the scheduler. */
static void note_failure(struct sim_world *w, struct sim_call *call, enum sched_end how)
{
    struct sched_attempt *a = call->attempt;
    struct sim_job *job = call->job;
    struct sim_payload *payload = a->chunk->payload;
    bool charged = how == SCHED_END_LOST || how == SCHED_END_SILENT || how == SCHED_END_BAD_STATUS ||
                   how == SCHED_END_NO_MEMORY || how == SCHED_END_PROTOCOL || how == SCHED_END_COMPLETE;
    if (how != SCHED_END_BUSY && a->endpoint) payload->failed_at = a->endpoint;
    if (!charged) return;
    job->retries++;
    if (!job->charged) return;
    for (uint32_t i = call->delivered; i < call->n; i++) {
        uint8_t *charged_n = &job->charged[call_item(call, i)];
        *charged_n = (uint8_t)(*charged_n + (*charged_n < 255));
    }
}

static void ended(struct sim_world *w, struct sim_call *call, enum sched_end how)
{
    struct sched_attempt *a = call->attempt;
    bool thawed = call->accepted && !(call->worker->frozen && call->worker->generation == call->generation);
    if (!a || (how == SCHED_END_SILENT && thawed)) return;
    sim_trace(w, "items %llu..%llu ended: %s after %u", (unsigned long long)call->base,
              (unsigned long long)call_item(call, call->n - 1), sched_end_name(how), call->delivered);
    deliver_cost(w, call);
    if (call->delivered < call->n) note_failure(w, call, how);
    if (how == SCHED_END_SILENT) call_hang_up(w, call);
    call_forget(w, call);
    sched_attempt_ended(a, how, how == SCHED_END_BUSY || how == SCHED_END_UNAVAILABLE ? 1000 : 0, w->now_ns);
}

static void learned(struct sim_world *w, struct sim_call *call)
{
    struct sim_worker *worker = call->worker;
    if (call->attempt) sched_attempt_learned(call->attempt, worker->id, w->sc->slots, w->now_ns);
}

static void starting(struct sim_world *w, struct sim_call *call)
{
    if (call->attempt) sched_attempt_starting(call->attempt, w->now_ns);
}

static void start_job(struct sim_world *w, struct sim_job *job)
{
    struct sched_job_params p = w->sc->params;
    char task[8];
    write_task_name(task_of(job), task);
    p.owner = job;
    p.task = task;
    if (job->index > 0) {
        p.deadline_ns = SCHED_NEVER;
        p.max_concurrency = 0;
        p.max_rate = 0;
    } else if (p.deadline_ns != SCHED_NEVER) {
        p.deadline_ns += w->now_ns;
    }
    job->job = sched_job_add(w->s, &p, w->now_ns);
    job->start_s = (double)w->now_ns / 1e9;
    bool slowly = job->index == 0 && w->sc->offer_s > 0;
    job->offered = slowly ? job->total / 8 : job->total;
    sched_job_offer(job->job, job->offered, job->offered * SIM_ITEM_BYTES);
    if (slowly)
        sim_at(w, w->sc->offer_s / 8, EV_OFFER, job, 0, 0);
    else
        sched_job_no_more_items(job->job);
}

static void offer_more(struct sim_world *w, struct sim_job *job)
{
    if (!job->job) return;
    uint64_t more = job->total / 8 + 1;
    more = more < job->total - job->offered ? more : job->total - job->offered;
    job->offered += more;
    sched_job_offer(job->job, more, more * SIM_ITEM_BYTES);
    if (job->offered == job->total)
        sched_job_no_more_items(job->job);
    else
        sim_at(w, w->sc->offer_s / 8, EV_OFFER, job, 0, 0);
}

static void probed(struct sim_world *w, const struct sim_event *ev)
{
    struct sim_worker *worker = ev->what;
    struct sched_endpoint *e = worker ? worker->endpoint : w->balancer;
    if (e) sched_endpoint_probed(w->s, e, ev->a == 1, w->now_ns);
}

void shell_event(struct sim_world *w, const struct sim_event *ev)
{
    switch (ev->kind) {
    case EV_JOB: start_job(w, ev->what); return;
    case EV_OFFER: offer_more(w, ev->what); return;
    case EV_CANCEL:
        if (((struct sim_job *)ev->what)->job)
            sched_job_cancel(((struct sim_job *)ev->what)->job, SCHED_CANCELLED, "somebody cancelled it");
        return;
    case EV_PROBED: probed(w, ev); return;
    case EV_HEAD: learned(w, ev->what); break;
    case EV_DELIVER: deliver(w, ev->what, ev->a); break;
    case EV_STARTING: starting(w, ev->what); break;
    case EV_END: ended(w, ev->what, (enum sched_end)ev->a); break;
    default: return;
    }
    call_unref(ev->what);
}

void shell_start_jobs(struct sim_world *w)
{
    const struct sim_scenario *sc = w->sc;
    w->jobs = xcalloc(sc->jobs, sizeof *w->jobs);
    w->jobs_running = sc->jobs;
    for (unsigned i = 0; i < sc->jobs; i++) {
        struct sim_job *job = &w->jobs[i];
        job->w = w;
        job->index = i;
        job->total = i == 0 ? sc->items : sc->small_items;
        if (sc->check_items) {
            job->book = xcalloc(job->total + 1, 1);
            job->starts = xcalloc(job->total + 1, 1);
            job->charged = xcalloc(job->total + 1, 1);
            job->sends = xcalloc(job->total + 1, 1);
        }
        job->poison_n = i == 0 ? sc->poison : 0;
        job->poison = xcalloc(job->poison_n + 1, sizeof *job->poison);
        for (unsigned k = 0; k < job->poison_n; k++) /* the poison items are all different if there are enough items */
            job->poison[k] = (random_u64(&w->random) % job->total / job->poison_n * job->poison_n + k) % job->total;
        sim_at(w, i == 0 ? 0 : sc->small_job_s * i, EV_JOB, job, 0, 0);
    }
    if (sc->cancel_s > 0) sim_at(w, sc->cancel_s, EV_CANCEL, &w->jobs[0], 0, 0);
}

void shell_free_jobs(struct sim_world *w)
{
    for (unsigned i = 0; i < w->sc->jobs; i++) {
        free(w->jobs[i].book);
        free(w->jobs[i].starts);
        free(w->jobs[i].charged);
        free(w->jobs[i].sends);
        free(w->jobs[i].poison);
    }
    free(w->jobs);
}
