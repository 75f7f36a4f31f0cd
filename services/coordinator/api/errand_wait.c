/* An errand that waits for the end of a job. */
#include "coordinator/api/errand.h"

/* How often the store is asked about a job that may run on another coordinator. */
#define ASK_GAP_NS (500 * NS_PER_MS)

bool errand_has_job(const struct store_call *call)
{
    return call->status == STORE_OK && call->found.state != STORED_RECEIVING;
}

static void on_read(struct errand *e, struct store_call *call);

/* Asks the store for the job, which may have changed. If a call is already open, its result may be older than the
 * change, so the store is asked again after that call. */
static void ask(struct errand *e)
{
    e->poked = e->call != NULL;
    if (e->call) return;
    e->asked_ns = now_ns();
    struct store_call *call = errand_call(e, STORE_READ_JOB, on_read);
    call->wants_whole = e->wants_results;
    errand_start(e, call);
}

static void end_watch(struct errand *e)
{
    if (e->watches) job_watch_remove(&e->watch);
    e->watches = false;
}

static void on_poke(void *owner)
{
    ask(owner);
}

/* Called when the job has ended on this coordinator. `read` has the results of the job. */
static void on_give(void *owner, const struct store_call *read)
{
    struct errand *e = owner;
    if (!e->wants_results || e->call) return; /* the open call will find the end of the job */
    end_watch(e);
    e->over(e, read);
    errand_free_when_over(e);
}

static void on_tick(void *owner, uint64_t now)
{
    struct errand *e = owner;
    if (!e->call && (now - e->asked_ns >= ASK_GAP_NS || now >= e->deadline_ns)) ask(e);
}

static void begin_watch(struct errand *e)
{
    static const struct job_watch_ops ops = {.poke = on_poke, .give = on_give, .tick = on_tick, .drain = on_poke};
    if (e->watches) return;
    e->watches = true;
    job_watch_add(&e->watch, &e->coordinator->watches, e->id, &ops, e);
}

static bool waits_on(const struct errand *e, const struct store_call *call)
{
    if (e->coordinator->watches.draining || now_ns() >= e->deadline_ns) return false;
    return errand_has_job(call) ? !stored_state_is_end(call->found.state) : e->known && call->status == STORE_AWAY;
}

static void on_read(struct errand *e, struct store_call *call)
{
    if (!e->exchange) return;
    if (!waits_on(e, call)) {
        end_watch(e);
        e->over(e, call);
        return;
    }
    e->known = true;
    if (e->poked) ask(e);
}

void errand_wait(struct errand *e, uint64_t deadline_ns, void (*over)(struct errand *e, const struct store_call *call))
{
    e->over = over;
    e->deadline_ns = deadline_ns;
    if (now_ns() < deadline_ns) begin_watch(e);
    e->asked_ns = now_ns();
    if (!e->wants_results || stored_state_is_end(e->accepted.state)) ask(e);
}
