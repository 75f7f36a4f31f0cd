#include "coordinator/durable/durable.h"

#include <unistd.h>

#include "common/observe/log.h"
#include "common/observe/metrics.h"
#include "coordinator/claims/claim_offer.h"
#include "coordinator/durable/durable_run.h"
#include "coordinator/durable/expired_jobs.h"
#include "coordinator/durable/unaccepted_jobs.h"
#include "coordinator/store/store_metrics.h"

enum { QUICK_MS = 10, SLOW_MS = 250 };
/* At most 1/UNSERVED_PART of the runs may wait for a task that no worker has. The other runs are for jobs that can run
 * now. */
enum { CLAIMS_MAX = 16, RUNS_MAX = 256, UNSERVED_PART = 4 };
/* In each period of CLAIM_GAP_NS, this coordinator leaves at most this many jobs to coordinators that have free slots,
 * because these slots may soon be taken. */
enum { YIELDS_MAX = 8 };
#define CLAIM_GAP_NS (2 * NS_PER_S) /* how often the store is asked for pending and abandoned jobs */

static struct durable_run *next_run(const struct durable *d, const struct durable_run *r)
{
    struct list_link *next = list_next(&d->runs, r ? &r->link : NULL);
    return next ? CONTAINER_OF(next, struct durable_run, link) : NULL;
}

/* Returns the run of the job; NULL: there is none. Skips a run that is over or lost, because its job may already have a
 * new run. */
static struct durable_run *find_run(const struct durable *d, const char *id)
{
    struct durable_run *r = next_run(d, NULL);
    while (r && (r->lost || r->state == RUN_OVER || strcmp(r->stored.id, id) != 0)) r = next_run(d, r);
    return r;
}

/* Claims. */

static void claim(struct durable *d);

/* Takes a job that a claim has found. The job may already run here: if the store did not renew the lease in time, this
 * coordinator may have claimed its own job again. */
static void take_claimed(struct durable *d, struct store_call *claimed)
{
    struct durable_run *r = find_run(d, claimed->found.id);
    if (r && durable_run_claimed_again(r, &claimed->found)) return;
    if (claimed->found.started_ms != claimed->now_ms) ++*d->metrics.take_overs;
    durable_run_new(d, claimed);
    if (d->draining) durable_drain(d);
}

static void on_claimed(struct store_call *call)
{
    struct durable *d = call->data;
    enum store_status status = call->status;
    /* Each claim delays the lease renewals that are started after it. So only one claim at a time is sent to a slow
     * store. */
    bool is_slow = now_ns() - call->started_ns > CLAIM_GAP_NS, more = status == STORE_OK && call->more;
    d->claiming--;
    d->lacks_slots = status == STORE_NOT_FOUND && strcmp(call->opens, "[]") == 0 && strcmp(call->serves, "[]") != 0;
    d->claim_failed = status != STORE_OK && status != STORE_NOT_FOUND;
    if (!d->claim_failed) {
        uint64_t lasted_ns = lasting_fault_ended(&d->claim_fault, now_ns());
        if (lasted_ns) log_info("the coordinator looks for durable jobs again", LOG_MS("outage_ms", lasted_ns));
    } else {
        ++*d->metrics.failed_calls;
        if (lasting_fault_seen(&d->claim_fault, now_ns()))
            log_warn("cannot look for durable jobs", LOG_STR("error", call->error));
    }
    if (status == STORE_OK) take_claimed(d, call);
    store_call_free(call);
    if (more || d->wants_claim) claim(d);
    if (more && !is_slow) claim(d);
    durable_tick_soon(d);
}

/* Returns how many jobs this coordinator will have if each open claim finds a job. */
static size_t coming_jobs(const struct durable *d)
{
    size_t n = d->jobs->count + d->claiming;
    for (const struct durable_run *r = next_run(d, NULL); r; r = next_run(d, r)) n += r->state == RUN_LOADING;
    return n;
}

/* Returns how many durable jobs may run here. Half of max_jobs is reserved for synchronous jobs. */
static size_t most_runs(const struct durable *d)
{
    size_t jobs = (size_t)d->jobs->config->max_jobs, half = jobs - jobs / 2;
    return half < RUNS_MAX ? half : RUNS_MAX;
}

static bool has_room(const struct durable *d)
{
    return d->runs.n + d->claiming < most_runs(d) && coming_jobs(d) < (size_t)d->jobs->config->max_jobs;
}

static struct claim_view view_of(const struct durable *d)
{
    return (struct claim_view){.catalog = &d->jobs->fleet->survey.catalog,
                               .scheduler = d->jobs->turn->scheduler,
                               .coming = coming_jobs(d) - d->jobs->count};
}

/* Returns whether one more job may wait here for a task that no worker has. */
static bool takes_unserved(const struct durable *d, const struct claim_view *view)
{
    size_t most = most_runs(d) / UNSERVED_PART, n = d->claiming;
    const char *last = NULL; /* many runs have the same task */
    bool serves_last = false;
    for (const struct durable_run *r = next_run(d, NULL); r; r = next_run(d, r)) {
        if (!r->stored.task) continue;
        if (!last || strcmp(last, r->stored.task) != 0) serves_last = claim_serves(view, r->stored.task);
        last = r->stored.task;
        n += !serves_last;
    }
    return n < (most > 0 ? most : 1);
}

static char *text_of(struct buf *b)
{
    size_t len;
    buf_cstr(b);
    return buf_detach(b, &len);
}

static struct store_call *claim_call(struct durable *d, void (*done)(struct store_call *call), bool only_announces)
{
    struct store_call *call = store_call_new(STORE_CLAIM, done, d);
    struct claim_view view = view_of(d);
    struct buf serves = {0}, opens = {0};
    if (!d->draining) claim_offer_write(&view, &serves, &opens);
    call->serves = d->draining ? xstrdup("[]") : text_of(&serves);
    call->opens = d->draining || only_announces ? xstrdup("[]") : text_of(&opens);
    buf_release(&opens);
    call->others = takes_unserved(d, &view);
    call->only_announces = only_announces;
    /* If a block is damaged, a claim with blocks fails. A claim without blocks still succeeds, and only the job with
     * the damaged block fails. */
    call->wants_whole = !d->claim_failed;
    call->holder = d->holder;
    call->lease_ms = LEASE_MS;
    call->knows = JOBSPEC_LEVEL;
    return call;
}

/* Announces the drain to the store, so that other coordinators leave no more jobs to this one. The drain does not wait
 * for this call. */
static void announce_drain(struct durable *d)
{
    store_start(d->store, claim_call(d, store_call_free, true));
}

/* Claims a job. A coordinator that has no room for a job still announces the tasks of its workers to the store. */
static void claim(struct durable *d)
{
    bool room = has_room(d);
    if (!room) d->wants_claim = true; /* claim() is called again when a job has ended */
    if (d->draining || d->claiming >= CLAIMS_MAX) return;
    if (!room && (d->claiming > 0 || now_ns() - d->claimed_ns <= CLAIM_GAP_NS)) return;
    if (room) d->wants_claim = false;
    struct store_call *call = claim_call(d, on_claimed, !room);
    d->claiming++;
    d->claimed_ns = now_ns();
    store_start(d->store, call);
}

/* Jobs that another coordinator should run. */

static bool waits_for_worker(const struct durable_run *r)
{
    enum sched_waiting why = r->job->waiting;
    return why == SCHED_WAITING_NO_WORKERS || why == SCHED_WAITING_NO_TASK || why == SCHED_WAITING_TOKEN_REFUSED;
}

enum store_yield durable_yield_of(const struct durable_run *r)
{
    const struct durable *d = r->durable;
    struct claim_view view = view_of(d);
    bool stays = r->state != RUN_RUNNING || r->handing_back || r->cancelling || r->drain_ns || !r->stored.task;
    if (stays || sched_job_in_flight(r->job->phase.sched) > 0) return YIELD_NO;
    if (waits_for_worker(r) && !claim_serves(&view, r->stored.task)) return YIELD_TO_SERVING;
    view.leaving = sched_job_demand_slots(r->job->phase.sched);
    return claim_opens(&view, r->stored.task) ? YIELD_NO : YIELD_TO_OPEN;
}

void durable_yield(struct durable_run *r)
{
    struct durable *d = r->durable;
    enum store_yield to = durable_yield_of(r);
    uint64_t now = now_ns();
    if (now - d->yielded_ns > CLAIM_GAP_NS) {
        d->yielded_ns = now;
        d->yields = 0;
    }
    if (to == YIELD_NO || (to == YIELD_TO_OPEN && d->yields++ >= YIELDS_MAX)) return;
    log_info("a durable job is left to a coordinator that can run it sooner", LOG_STR("job", r->stored.id),
             LOG_STR("task", r->stored.task));
    durable_run_hand_back(r);
}

void durable_claim_soon(struct durable *d)
{
    d->wants_claim = true;
    claim(d);
}

/* The timer. */

static void on_timer(uv_timer_t *timer)
{
    struct durable *d = timer->data;
    uint64_t now = now_ns();
    bool quick = false;
    size_t runs = d->runs.n;
    d->is_quick = false;
    for (struct durable_run *r = next_run(d, NULL), *next; r; r = next) {
        next = next_run(d, r);
        quick |= durable_run_tick(r, now) && !durable_run_free(r);
    }
    bool got_slots = d->lacks_slots && d->runs.n < runs;
    if (d->wants_claim || got_slots || (d->claiming == 0 && now - d->claimed_ns > CLAIM_GAP_NS)) claim(d);
    expired_jobs_tick(d, now);
    if (!d->draining) store_metrics_tick(d->store, now);
    unaccepted_jobs_tick(d, now);
    if (quick || d->is_quick)
        durable_tick_soon(d);
    else
        uv_timer_start(&d->timer, on_timer, SLOW_MS, SLOW_MS);
}

void durable_tick_soon(struct durable *d)
{
    if (d->is_quick || uv_is_closing((uv_handle_t *)&d->timer)) return;
    d->is_quick = true;
    uv_timer_start(&d->timer, on_timer, QUICK_MS, QUICK_MS);
}

/* If a claim has loaded a whole job, this function begins the job later in the same turn of the loop. If the job began
 * as soon as the claim was done, the answer 202 to its client would be delayed. */
static void begin_loaded(void *durable)
{
    struct durable *d = durable;
    if (!d->has_loaded) return;
    d->has_loaded = false;
    for (struct durable_run *r = next_run(d, NULL); r; r = next_run(d, r)) run_begin_go_on(r);
}

void durable_begin_soon(struct durable *d)
{
    d->has_loaded = true;
}

/* Start and end. */

void durable_start(struct durable *d, uv_loop_t *loop)
{
    char host[40] = "";
    list_init(&d->runs);
    list_init(&d->unaccepted);
    gethostname(host, sizeof host - 1);
    snprintf(d->holder, sizeof d->holder, "%s/%ld", host, (long)getpid());
    uv_timer_init(loop, &d->timer);
    d->timer.data = d;
    turn_add(loop, &d->begin_step, TURN_AFTER_POLL_DURABLE, begin_loaded, d);
    claim(d);
    durable_tick_soon(d);
}

static double read_runs(void *durable)
{
    return (double)((const struct durable *)durable)->runs.n;
}

void durable_register_metrics(struct durable *d)
{
    struct durable_metrics *m = &d->metrics;
    metric_gauge_fn("fantail_durable_runs", "Durable jobs that this coordinator runs.", NULL, read_runs, d);
    m->recorded =
        metric_counter("fantail_store_answer_bytes_total", "Bytes of answers recorded in the job store.", NULL);
    m->take_overs = metric_counter("fantail_store_take_overs_total", "Durable jobs that were claimed again.", NULL);
    m->fenced = metric_counter("fantail_store_fenced_total",
                               "Durable jobs that another coordinator took over while they ran here.", NULL);
    m->failed_calls = metric_counter("fantail_store_failed_calls_total",
                                     "Calls to the job store that failed and were started again.", NULL);
}

void durable_drain(struct durable *d)
{
    bool begins = !d->draining;
    d->draining = true;
    if (begins) announce_drain(d);
    unaccepted_jobs_drop(d);
    for (struct durable_run *r = next_run(d, NULL); r; r = next_run(d, r)) durable_run_drain(r);
    durable_tick_soon(d);
}

void durable_cut(struct durable *d)
{
    d->cutting = true;
    for (struct durable_run *r = next_run(d, NULL); r; r = next_run(d, r)) durable_run_hand_back(r);
}

bool durable_is_idle(const struct durable *d)
{
    return d->runs.n == 0 && d->claiming == 0;
}

void durable_stop(struct durable *d)
{
    turn_remove(&d->begin_step);
    uv_close((uv_handle_t *)&d->timer, NULL);
}

void durable_release(struct durable *d)
{
    for (struct durable_run *r = next_run(d, NULL), *next; r; r = next) {
        next = next_run(d, r);
        durable_run_free(r);
    }
}

void durable_cancel(struct durable *d, const char *id)
{
    struct durable_run *r = find_run(d, id);
    if (r) durable_run_cancel(r);
}

enum sched_status durable_status_of(enum stored_state end)
{
    int n = (int)end - STORED_SUCCEEDED;
    static_assert((int)STORED_TIMED_OUT - STORED_SUCCEEDED == (int)SCHED_TIMED_OUT, "both have the same order");
    static_assert((int)STORED_CANCELLED - STORED_SUCCEEDED == (int)SCHED_CANCELLED, "both have the same order");
    if (n < 0 || n >= SCHED_STATUS_COUNT) BUG("a job does not end as %s", stored_state_name(end));
    return (enum sched_status)n;
}

uint64_t durable_age_ns(const struct stored_job *job, int64_t until_ms)
{
    int64_t from_ms = job->redrives > 0 ? job->started_ms : job->created_ms;
    return from_ms > 0 && from_ms < until_ms ? (uint64_t)(until_ms - from_ms) * NS_PER_MS : 0;
}

void durable_was_cancelled(struct durable *d, const struct stored_job *job)
{
    jobs_count_items(d->jobs, 0, 0, job->counts.cancelled);
    jobs_count_end(d->jobs, SCHED_CANCELLED, durable_age_ns(job, job->ended_ms));
    log_info("job ended", LOG_STR("job", job->id), LOG_STR("status", stored_state_name(job->state)),
             LOG_STR("reason", job->reason), LOG_U64("items", job->items), LOG_U64("failed", job->counts.failed));
}

const char *durable_lacks_room(const struct durable *d, const char *id)
{
    const struct durable_run *r = find_run(d, id);
    return r && durable_run_lacks_room(r) ? r->store_error : NULL;
}

void durable_change(struct durable *d, const struct stored_job *now)
{
    struct durable_run *r = find_run(d, now->id);
    if (r) durable_run_change(r, now->changes);
}

/* Calls durable->changed(). Also writes to the log that the job waits, because the job may have no connected client. */
void durable_note_waiting(void *durable_run)
{
    const struct durable_run *r = durable_run;
    struct status_waiting waiting = durable_run_waits_for(r);
    if (r->job->waiting == SCHED_WAITING_STARTING)
        log_info("a durable job waits for the start of its task processes", LOG_STR("job", r->stored.id));
    else if (r->job->waiting != SCHED_NOT_WAITING)
        log_warn("a durable job waits", LOG_STR("job", r->stored.id), LOG_STR("task", r->stored.task),
                 LOG_STR("reason", waiting.reason), LOG_STR("detail", waiting.detail));
    r->durable->changed(r->durable->data, r->stored.id);
}

bool durable_live_of(const struct durable *d, const char *id, struct durable_live *live)
{
    const struct durable_run *r = find_run(d, id);
    const struct sched_job *sched = r && r->job ? r->job->phase.sched : NULL;
    if (!r) return false;
    struct stored_counts n = run_record_counts(r);
    *live = (struct durable_live){.retried = n.retried,
                                  .hedged = n.hedged,
                                  .eta_ns = sched ? sched_job_eta_ns(sched) : 0,
                                  .waiting = durable_run_waits_for(r)};
    return true;
}
