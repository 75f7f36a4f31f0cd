#include "common/trace/trace_export.h"

#include <sys/random.h>
#include <time.h>

#include "common/base/limits.h"
#include "common/http_client/http_client.h"
#include "common/observe/log.h"
#include "common/observe/metrics.h"
#include "common/observe/trace_queue.h"

#define RETRY_MIN_MS  1000
#define RETRY_MAX_MS  30000
#define RETRY_MOST_MS 300000 /* the longest Retry-After that is accepted */
#define SENDS_MAX     6      /* the largest number of attempts to send one batch */
#define ANSWER_BYTES  (16 * KIB)

enum export_state { IDLE, SENDING, WAITING, CLOSING };

struct trace_export {
    uv_loop_t *loop;
    struct trace_config config;
    struct http_client *client;
    uv_timer_t
        timer; /* ends the delay in IDLE, the request in SENDING, the wait in WAITING, and the closing in CLOSING */
    bool timer_runs;
    enum export_state state;
    const char **headers;
    struct trace_random random;
    uint64_t unix_offset_ns;

    struct trace_queue queue;
    struct http_call *call;
    size_t sent; /* bytes of the first batch's body that the HTTP client has taken */
    unsigned sends;
    struct buf answer;

    bool failing, dropping; /* the log already says that sending fails, or that spans are dropped */
    uint64_t *exported, *dropped;
    uint64_t dropped_before;
};

static uint64_t unix_offset(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec - now_ns();
}

/* ---- the log ---- */

/* Returns the URL without the parts that may be secret. */
static const char *shown_url(const char *url, char *out, size_t size)
{
    const char *host = strstr(url, "://") + 3, *end = host + strcspn(host, "/?#");
    const char *at = memrchr(host, '@', (size_t)(end - host));
    if (at) host = at + 1;
    snprintf(out, size, "%.*s", (int)strcspn(host, "?#"), host);
    return out;
}

static void report_failing(struct trace_export *t, const char *reason, int status)
{
    char url[256];
    if (t->failing) return;
    t->failing = true;
    t->dropped_before = *t->dropped;
    log_warn("spans cannot be delivered", LOG_STR("collector", shown_url(t->config.url, url, sizeof url)),
             LOG_STR("reason", reason), LOG_I64("status", status));
}

static void report_dropping(struct trace_export *t)
{
    if (t->dropping) return;
    t->dropping = true;
    log_warn("spans are dropped: the queue is full", LOG_U64("spans", t->queue.spans));
}

static void report_delivering(struct trace_export *t)
{
    char url[256];
    if (!t->failing) return;
    t->failing = false;
    log_info("spans are delivered again", LOG_STR("collector", shown_url(t->config.url, url, sizeof url)),
             LOG_U64("dropped", *t->dropped - t->dropped_before));
}

/* ---- sending ---- */

/* Removes the first batch, even if it was not sent. Returns how many spans it had. */
static unsigned drop_first(struct trace_export *t)
{
    t->sends = 0;
    if (!t->queue.first->next) t->dropping = false;
    return trace_queue_drop_first(&t->queue);
}

static void send_first(struct trace_export *t);
static void go_on(struct trace_export *t);

static void on_timer_closed(uv_handle_t *handle)
{
    struct trace_export *t = handle->data;
    trace_config_release(&t->config);
    trace_queue_release(&t->queue);
    buf_release(&t->answer);
    free(t->headers);
    free(t);
}

static void finish(struct trace_export *t)
{
    if (t->call) http_call_cancel(t->call);
    if (t->queue.spans) log_warn("spans were not delivered before the program ended", LOG_U64("spans", t->queue.spans));
    while (t->queue.first) *t->dropped += drop_first(t);
    http_client_free(t->client);
    uv_close((uv_handle_t *)&t->timer, on_timer_closed);
}

static void try_again_later(struct trace_export *t, uint64_t retry_after_ms);

static void on_timer(uv_timer_t *timer)
{
    struct trace_export *t = timer->data;
    t->timer_runs = false;
    switch (t->state) {
    case IDLE:
    case WAITING: send_first(t); return;
    case SENDING:
        http_call_cancel(t->call);
        t->call = NULL;
        report_failing(t, "the collector did not answer in time", 0);
        try_again_later(t, 0);
        return;
    case CLOSING: finish(t); return;
    }
}

static void set_timer(struct trace_export *t, uint64_t ms)
{
    if (t->state == CLOSING) return; /* while closing, the timer must fire at the deadline for closing */
    uv_update_time(t->loop);
    uv_timer_start(&t->timer, on_timer, ms, 0);
    t->timer_runs = true;
}

static void stop_timer(struct trace_export *t)
{
    if (t->state == CLOSING) return;
    uv_timer_stop(&t->timer);
    t->timer_runs = false;
}

static size_t read_body(void *data, char *dst, size_t cap)
{
    struct trace_export *t = data;
    const struct buf *body = &t->queue.first->body;
    return bytes_copy_next(dst, cap, body->data, body->len, &t->sent);
}

/* Bytes beyond the cap are dropped. So an answer that is too long cannot be parsed, and is treated as if no spans were
 * rejected. */
static bool on_answer(void *data, const char *bytes, size_t len)
{
    struct trace_export *t = data;
    buf_add(&t->answer, bytes, len);
    return true;
}

static void deliver_first(struct trace_export *t)
{
    uint64_t spans = t->queue.first->spans, rejected = otlp_rejected(t->answer.data, t->answer.len);
    if (rejected > spans) rejected = spans;
    *t->exported += spans - rejected;
    *t->dropped += rejected;
    if (rejected)
        report_failing(t, "the collector rejected some spans", 200);
    else
        report_delivering(t);
    drop_first(t);
}

static void give_up_first(struct trace_export *t)
{
    *t->dropped += drop_first(t);
}

/* Returns the delay before the next attempt. The delay has jitter, so that the services of a fleet do not all try again
 * at the same time. */
static uint64_t backoff_ms(struct trace_export *t)
{
    uint64_t ms = (uint64_t)RETRY_MIN_MS << (t->sends < 6 ? t->sends : 6);
    if (ms > RETRY_MAX_MS) ms = RETRY_MAX_MS;
    return ms / 2 + trace_random_next(&t->random) % (ms / 2);
}

static void try_again_later(struct trace_export *t, uint64_t retry_after_ms)
{
    uint64_t wait_ms = retry_after_ms ? retry_after_ms : backoff_ms(t);
    if (wait_ms > RETRY_MOST_MS) wait_ms = RETRY_MOST_MS;
    if (t->state == CLOSING) {
        finish(t);
        return;
    }
    if (++t->sends >= SENDS_MAX) give_up_first(t);
    t->state = WAITING;
    set_timer(t, wait_ms);
}

static bool may_try_again(const struct http_call_result *r)
{
    if (r->outcome != HTTP_CALL_OK) return true;
    return r->status == 429 || (r->status >= 502 && r->status <= 504);
}

static void on_end(void *data, const struct http_call_result *r)
{
    struct trace_export *t = data;
    const char *text = r->outcome == HTTP_CALL_OK ? http_call_header(t->call, "Retry-After") : NULL;
    uint64_t retry_after_s = text ? strtoul(text, NULL, 10) : 0;
    t->call = NULL;
    stop_timer(t);
    if (r->outcome == HTTP_CALL_OK && r->status >= 200 && r->status < 300) {
        deliver_first(t);
    } else {
        report_failing(t, r->reason, r->status);
        if (may_try_again(r)) {
            try_again_later(t, retry_after_s < RETRY_MOST_MS / 1000 ? retry_after_s * 1000 : RETRY_MOST_MS);
            return;
        }
        give_up_first(t);
    }
    go_on(t);
}

static void send_first(struct trace_export *t)
{
    if (t->state != CLOSING) t->state = SENDING;
    const struct trace_batch *batch = trace_queue_close_first(&t->queue);
    if (!batch) {
        go_on(t);
        return;
    }
    t->sent = 0;
    t->unix_offset_ns = unix_offset(); /* computed again, because the system clock may have been changed */
    buf_clear(&t->answer);
    t->call = http_call_start(t->client, &(struct http_call_options){
                                             .method = "POST",
                                             .url = t->config.url,
                                             .headers = t->headers,
                                             .body_bytes = (int64_t)batch->body.len,
                                             .read = read_body,
                                             .on_body = on_answer,
                                             .on_end = on_end,
                                             .data = t,
                                             .connect_timeout_ms = t->config.timeout_ms,
                                         });
    set_timer(t, t->config.timeout_ms);
}

/* If the first batch is due, sends it now. If not, sets the timer that sends it. While closing, sends the first
 * batch even if it is not due, and finishes if no batch is left. Call it only while no request is running. */
static void go_on(struct trace_export *t)
{
    if (t->state == CLOSING) {
        if (t->queue.first)
            send_first(t);
        else
            finish(t);
        return;
    }
    t->state = IDLE;
    if (trace_queue_is_due(&t->queue))
        send_first(t);
    else if (t->queue.first && !t->timer_runs)
        set_timer(t, t->config.delay_ms);
}

/* ---- the interface ---- */

void trace_export_begin(struct trace_export *t, struct trace_context *context, const struct trace_context *parent,
                        bool parent_is_ours)
{
    if (parent_is_ours)
        trace_context_inner(context, parent, &t->random);
    else
        trace_context_child(context, parent, &t->config.sampler, &t->random);
}

void trace_export_add(struct trace_export *t, const struct span *s)
{
    if (!(s->context.flags & TRACE_SAMPLED)) return;
    if (!trace_queue_add(&t->queue, s, t->unix_offset_ns)) {
        ++*t->dropped;
        report_dropping(t);
        return;
    }
    if (t->state == IDLE) go_on(t);
}

static void copy_headers(struct trace_export *t)
{
    static const char *const own[] = {"Content-Type: application/json",
                                      "User-Agent: OTel-OTLP-Exporter-fantail/" FANTAIL_VERSION};
    size_t given = 0, n = 0;
    while (t->config.headers && t->config.headers[given]) given++;
    t->headers = xcalloc(ARRAY_SIZE(own) + given + 1, sizeof *t->headers);
    for (size_t i = 0; i < ARRAY_SIZE(own); i++) t->headers[n++] = own[i];
    for (size_t i = 0; i < given; i++) t->headers[n++] = t->config.headers[i];
}

static void seed(struct trace_random *r)
{
    if (getrandom(r->state, sizeof r->state, 0) != (ssize_t)sizeof r->state) BUG("getrandom gave too little");
    r->state[0] |= 1;
}

static const char *from_environment(const char *name)
{
    return getenv(name);
}

bool trace_export_configure(struct trace_config *config, char *err, size_t err_size)
{
    return trace_config_read(config, from_environment, err, err_size);
}

static void report_start(const struct trace_config *c)
{
    char url[256];
    for (unsigned i = 0; i < c->note_count; i++)
        log_warn("an environment variable is ignored", LOG_STR("variable", c->notes[i].variable),
                 LOG_STR("reason", c->notes[i].why));
    if (c->url) log_info("traces are exported", LOG_STR("collector", shown_url(c->url, url, sizeof url)));
}

struct trace_export *trace_export_new(uv_loop_t *loop, struct trace_config *config, const char *service,
                                      const char *instance)
{
    static const char name[] = "fantail_spans_total", help[] = "Spans of recorded traces.";
    uint64_t *exported = metric_counter(name, help, "result=\"exported\""),
             *dropped = metric_counter(name, help, "result=\"dropped\"");
    report_start(config);
    if (!config->url) {
        trace_config_release(config);
        return NULL;
    }
    struct trace_export *t = xcalloc(1, sizeof *t);
    *t = (struct trace_export){.loop = loop, .config = *config, .exported = exported, .dropped = dropped};
    *config = (struct trace_config){0};
    buf_init(&t->answer, ANSWER_BYTES);
    t->queue.batch_spans = t->config.batch_spans;
    t->queue.queue_spans = t->config.queue_spans;
    trace_config_resource(&t->config, service, instance, &t->queue.resource);
    copy_headers(t);
    seed(&t->random);
    t->unix_offset_ns = unix_offset();
    t->client = http_client_new(loop, &(struct http_client_options){.receive_bytes = ANSWER_BYTES});
    uv_timer_init(loop, &t->timer);
    t->timer.data = t;
    return t;
}

void trace_export_close(struct trace_export *t)
{
    if (!t) return;
    enum export_state before = t->state;
    t->state = IDLE;
    set_timer(t, TRACE_CLOSE_MS);
    t->state = CLOSING;
    if (before != SENDING) go_on(t);
}
