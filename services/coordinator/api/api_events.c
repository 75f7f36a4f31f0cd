#include "coordinator/api/api_events.h"

#include <inttypes.h>

#include "coordinator/api/errand.h"
#include "coordinator/results/store_problem.h"
#include "protocol/protocol.h"

/* ASK_GAP_NS: how often the store is asked for the job if nothing pokes the watch. PROGRESS_GAP_NS: the shortest time
 * between two progress events. */
#define ASK_GAP_NS      (500 * NS_PER_MS)
#define PROGRESS_GAP_NS NS_PER_S
enum { EVENT_ID_SIZE = 96 };

struct events_watch {
    struct coordinator *coordinator;
    struct http_exchange *exchange; /* NULL: the client is gone */
    struct store_call *call;        /* NULL: none is open */
    struct job_watch watch;
    bool open;                   /* the stream has begun */
    bool over;                   /* the last event is pending or was sent */
    bool poked;                  /* the job may have changed since the open store call was started */
    enum stored_state state;     /* state of the last event */
    const char *waiting;         /* what the job waited for at the last event; NULL: it did not wait */
    char last_id[EVENT_ID_SIZE]; /* id of the last event */
    uint64_t asked_ns, sent_ns, progress_ns;
    struct buf pending;
    size_t pending_at;
};

static void write_id(char id[EVENT_ID_SIZE], const struct stored_job *j, const char *waiting)
{
    snprintf(id, EVENT_ID_SIZE, "%" PRIu64 "-%" PRIu64 "-%s-%" PRIu64 "%s%s", j->redrives, j->fence,
             stored_state_name(j->state), j->counts.succeeded + j->counts.failed + j->counts.cancelled,
             waiting ? "-" : "", waiting ? waiting : "");
}

/* Returns what the job waits for, as a static name. NULL: the job does not wait, or does not run here. */
static const char *waits_for(const struct events_watch *w, const struct stored_job *j)
{
    struct durable_live live;
    return durable_live_of(&w->coordinator->durable, j->id, &live) ? live.waiting.reason : NULL;
}

static void free_when_over(struct events_watch *w)
{
    if (w->exchange || w->call) return;
    buf_release(&w->pending);
    free(w);
}

static void end(struct events_watch *w)
{
    w->over = true;
    http_exchange_wake(w->exchange);
}

/* Events. */

static void add_event(struct events_watch *w, const struct stored_job *j, const char *id)
{
    const char *waiting = waits_for(w, j);
    bool is_end = stored_state_is_end(j->state);
    bool is_state = !w->last_id[0] || j->state != w->state || waiting != w->waiting;
    buf_addf(&w->pending, "event: %s\nid: %s\ndata: ", is_end ? "end" : is_state ? "status" : "progress", id);
    errand_write_job(w->coordinator, &w->pending, j);
    buf_add_str(&w->pending, "\n\n");
    w->state = j->state;
    w->waiting = waiting;
    w->sent_ns = w->progress_ns = now_ns();
    snprintf(w->last_id, sizeof w->last_id, "%s", id);
    http_exchange_wake(w->exchange);
    if (is_end) end(w);
}

/* Begins the stream and returns true. If the client has already seen the end of the job, answers 204 and returns false.
 * After 204, the client does not connect again. */
static bool begin(struct events_watch *w, const struct stored_job *j, const char *id)
{
    if (w->open) return true;
    if (stored_state_is_end(j->state) && strcmp(id, w->last_id) == 0) {
        http_answer(w->exchange, 204, NULL, "", 0);
        return false;
    }
    w->open = true;
    http_exchange_set_header(w->exchange, HEADER_JOB, j->id);
    buf_add_str(&w->pending, "retry: 1000\n\n");
    http_answer_stream(w->exchange, 200, "text/event-stream");
    http_exchange_send_head(w->exchange);
    return true;
}

static void report_job(struct events_watch *w, const struct stored_job *j)
{
    char id[EVENT_ID_SIZE];
    const char *waiting = waits_for(w, j);
    write_id(id, j, waiting);
    if (!begin(w, j, id)) return;
    if (strcmp(id, w->last_id) == 0) { /* the client already has this event */
        w->state = j->state;
        w->waiting = waiting;
        return;
    }
    bool is_due = j->state != w->state || waiting != w->waiting || now_ns() - w->progress_ns >= PROGRESS_GAP_NS;
    if (is_due && w->pending.len < EVENT_ID_SIZE) add_event(w, j, id); /* a slow client gets only the newest event */
}

static void fail(struct events_watch *w, const struct store_call *call)
{
    bool is_gone = call->status == STORE_OK || call->status == STORE_NOT_FOUND;
    if (w->open && call->status == STORE_AWAY) return;
    if (w->open)
        end(w); /* the client connects again, and then gets the problem */
    else if (is_gone)
        store_problem_no_job(w->exchange, w->watch.id);
    else
        store_problem_answer(w->exchange, call);
}

/* Calls to the store. */

static void ask(struct events_watch *w);

static void on_read(struct store_call *call)
{
    struct events_watch *w = call->data;
    w->call = NULL;
    bool listens = w->exchange && !w->over && (w->open || !http_exchange_answered(w->exchange));
    if (listens && errand_has_job(call))
        report_job(w, &call->found);
    else if (listens)
        fail(w, call);
    bool goes_on = listens && w->open && !w->over;
    if (goes_on && w->watch.list->draining)
        end(w);
    else if (goes_on && w->poked)
        ask(w);
    store_call_free(call);
    free_when_over(w);
}

static void ask(struct events_watch *w)
{
    w->poked = w->call != NULL;
    if (w->call || w->over) return;
    w->asked_ns = now_ns();
    w->call = store_call_new(STORE_READ_JOB, on_read, w);
    snprintf(w->call->job.id, sizeof w->call->job.id, "%s", w->watch.id);
    store_start(w->coordinator->store, w->call);
}

static void on_poke(void *owner)
{
    ask(owner);
}

static void on_tick(void *owner, uint64_t now)
{
    struct events_watch *w = owner;
    uint64_t heartbeat_ns = (uint64_t)(w->watch.list->heartbeat_s * 1e9);
    if (!w->open || w->over) return;
    if (!w->call && now - w->asked_ns >= ASK_GAP_NS) ask(w);
    if (w->pending.len || now - w->sent_ns < heartbeat_ns) return;
    buf_add_str(&w->pending, ": heartbeat\n\n");
    w->sent_ns = now;
    http_exchange_wake(w->exchange);
}

/* Ends the stream. When the client connects again, it gets the later events from another coordinator, or from this
 * coordinator after its restart. */
static void on_drain(void *owner)
{
    struct events_watch *w = owner;
    if (w->open && !w->over) end(w);
}

/* The exchange. */

static ssize_t on_pull(struct http_exchange *x, char *dst, size_t cap)
{
    struct events_watch *w = http_exchange_data(x);
    size_t n = bytes_copy_next(dst, cap, w->pending.data, w->pending.len, &w->pending_at);
    if (n && w->pending_at == w->pending.len) {
        buf_clear(&w->pending);
        w->pending_at = 0;
    }
    if (n) return (ssize_t)n;
    return w->over ? HTTP_PULL_END : HTTP_PULL_WAIT;
}

static void on_closed(struct http_exchange *x, enum http_closed how)
{
    struct events_watch *w = http_exchange_data(x);
    job_watch_remove(&w->watch);
    w->exchange = NULL;
    free_when_over(w);
}

void api_watch_events(struct http_exchange *x, struct coordinator *c)
{
    static const struct http_exchange_ops ops = {.pull = on_pull, .closed = on_closed};
    static const struct job_watch_ops watch_ops = {.poke = on_poke, .tick = on_tick, .drain = on_drain};
    const char *id = http_exchange_param(x, "id"), *last = http_exchange_header(x, "Last-Event-ID");
    if (!http_check_no_query(x, NULL)) return;
    if (strlen(id) >= STORE_ID_SIZE) {
        store_problem_no_job(x, id);
        return;
    }
    struct events_watch *w = xcalloc(1, sizeof *w);
    w->coordinator = c;
    w->exchange = x;
    w->state = STORED_STATE_COUNT;
    w->sent_ns = now_ns();
    snprintf(w->last_id, sizeof w->last_id, "%s", last ? last : "");
    job_watch_add(&w->watch, &c->watches, id, &watch_ops, w);
    http_exchange_accept(x, &ops, w);
    ask(w);
}
