#include "common/http_client/http_client.h"

#include "common/http_client/http_client_internal.h"
#include "common/observe/log.h"

/* Maximum number of spare calls. Each spare call takes about 8 KiB. Creating a call takes as long as sending a
 * request. */
#define SPARE_CALLS   1024
#define ADDED_AT_ONCE 8 /* calls that are added to curl before it makes their connections */

static const char *const state_names[] = {
    [CALL_SPARE] = "spare",         [CALL_NEW] = "new",     [CALL_RUNNING] = "running",
    [CALL_CANCELLED] = "cancelled", [CALL_ENDED] = "ended",
};
static_assert(ARRAY_SIZE(state_names) == CALL_STATE_COUNT, "every state has a name");

/* A call is added at the front of a list. Spare calls are taken from the front, so the most recently used call is
 * reused first. New calls are taken from the back, so they begin in the order in which they were started. */

static void unlist(struct http_call *call)
{
    struct call_list *list = &call->client->calls[call->state];
    *(call->prev ? &call->prev->next : &list->first) = call->next;
    *(call->next ? &call->next->prev : &list->last) = call->prev;
    list->count--;
}

static void enlist(struct http_call *call)
{
    struct http_client *c = call->client;
    struct call_list *list = &c->calls[call->state];
    call->prev = NULL;
    call->next = list->first;
    *(call->next ? &call->next->prev : &list->last) = call;
    list->first = call;
    list->count++;
    client_keep_loop(c, c->calls[CALL_NEW].count + c->calls[CALL_RUNNING].count + c->calls[CALL_CANCELLED].count > 0);
}

void call_move(struct http_call *call, enum call_state to)
{
    log_debug("call moved", LOG_U64("call", call->number), LOG_STR("from", state_names[call->state]),
              LOG_STR("to", state_names[to]));
    unlist(call);
    call->state = to;
    enlist(call);
}

static void call_retire(struct http_call *call)
{
    call_clear(call);
    call_move_flow(call, CALL_FLOW_SHORT);
    call_move(call, CALL_SPARE);
    if (call->client->calls[CALL_SPARE].count <= SPARE_CALLS) return;
    call = call->client->calls[CALL_SPARE].last;
    unlist(call);
    call_free(call);
}

/* Ends. */

/* Removes the call from curl, and detaches it from its wire. */
static void detach(struct http_call *call)
{
    struct http_wire *w = call->wire;
    call->wire = NULL;
    if (w && call->keeps_wire)
        wire_keep(w);
    else if (w)
        wire_close(w);
    if (!call->easy) return;
    libcurl.multi_remove_handle(call->client->multi, call->easy);
    if (call->is_plain) call_drop_easy(call);
}

void call_end(struct http_call *call, const struct http_call_result *result)
{
    struct http_client *c = call->client;
    call_move(call, CALL_ENDED);
    c->busy++;
    detach(call);
    c->callback_ran = true;
    call->options.on_end(call->options.data, result);
    c->busy--;
    call_retire(call);
}

static void call_end_by_code(struct http_call *call, CURLcode code)
{
    struct http_call_result result = call_classify_end(call, code);
    call_end(call, &result);
}

static void abandon(struct http_call *call)
{
    struct http_client *c = call->client;
    c->busy++;
    detach(call);
    c->busy--;
    call_retire(call);
}

static bool reap(struct http_client *c)
{
    int left;
    CURLMsg *message = c->multi ? libcurl.multi_info_read(c->multi, &left) : NULL;
    if (!message) return false;
    CURLcode code = message->data.result; /* the message is freed when the handle is removed */
    char *owner = NULL;
    libcurl.easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &owner);
    struct http_call *call = (struct http_call *)(void *)owner;
    if (call->state == CALL_CANCELLED)
        abandon(call);
    else if (call->is_plain && code == CURLE_OK)
        exchange_connected(call);
    else
        call_end_by_code(call, code);
    return true;
}

/* Silence. */

static void on_silence(uv_timer_t *timer);

/* Returns the time at which the call ends because it was silent for too long; UINT64_MAX: never. */
static uint64_t silence_end_ms(const struct http_call *call)
{
    uint64_t timeout_ms = call->options.silence_timeout_ms;
    return timeout_ms ? call->heard_ms + timeout_ms : UINT64_MAX;
}

static void watch_silence(struct http_client *c, uint64_t deadline_ms)
{
    if (deadline_ms == UINT64_MAX) return;
    if (c->silence_deadline_ms && c->silence_deadline_ms <= deadline_ms) return;
    uint64_t now = uv_now(c->loop);
    c->silence_deadline_ms = deadline_ms;
    uv_timer_start(&c->silence_timer, on_silence, deadline_ms > now ? deadline_ms - now : 0, 0);
}

static void end_silent(struct http_call *call)
{
    struct http_call_result result = call_classify_end(call, CURLE_OPERATION_TIMEDOUT);
    char reason[64];
    snprintf(reason, sizeof reason, "nothing was received for %.3g s",
             (double)call->options.silence_timeout_ms / 1000.0);
    result.outcome = HTTP_CALL_TIMED_OUT;
    result.reason = reason;
    call_end(call, &result);
}

/* A byte that arrives can only move a deadline to a later time, so the timer need not be restarted. The timer fires at
 * the old deadline, and this function then finds the next deadline. on_end may start, cancel or end other calls, so the
 * search restarts after each on_end. */
static void on_silence(uv_timer_t *timer)
{
    struct http_client *c = timer->data;
    uint64_t now = uv_now(c->loop), next = UINT64_MAX;
    c->silence_deadline_ms = 0;
    for (struct http_call *call = c->calls[CALL_RUNNING].first; call;) {
        uint64_t deadline = silence_end_ms(call);
        if (deadline <= now) {
            if (!client_has_time_for_events(c)) {
                next = now + 1; /* a timer of 0 ms would fire again in this turn */
                break;
            }
            end_silent(call);
            next = UINT64_MAX;
            call = c->calls[CALL_RUNNING].first;
            continue;
        }
        if (deadline < next) next = deadline;
        call = call->next;
    }
    watch_silence(c, next);
    client_settle(c);
}

/* Work that was postponed because curl was busy. */

static void begin(struct http_call *call)
{
    struct http_client *c = call->client;
    call_move(call, CALL_RUNNING);
    call->heard_ms = uv_now(c->loop);
    watch_silence(c, silence_end_ms(call));
    if (call->is_plain)
        exchange_begin(call);
    else if (call_load(call))
        call_add_to_curl(call);
}

void call_add_to_curl(struct http_call *call)
{
    call->client->added++;
    CURLMcode code = libcurl.multi_add_handle(call->client->multi, call->easy);
    if (code != CURLM_OK) BUG("curl does not accept a call: %s", libcurl.multi_strerror(code));
}

void call_resume(struct http_call *call)
{
    struct http_client *c = call->client;
    call->heard_ms = uv_now(c->loop);
    watch_silence(c, silence_end_ms(call));
    CURLcode code = libcurl.easy_pause(call->easy, CURLPAUSE_CONT);
    /* libcurl.easy_pause() calls the callbacks with the bytes that curl has held back. If a callback refuses these
     * bytes, curl ignores the refusal. */
    bool refused =
        code != CURLE_OK && code != CURLE_BAD_FUNCTION_ARGUMENT; /* the second code means that no connection exists */
    if (refused && call->state == CALL_RUNNING) call_end_by_code(call, code);
}

static void destroy(struct http_client *c)
{
    static const enum call_state in_curl[] = {CALL_RUNNING, CALL_CANCELLED};
    for (size_t i = 0; i < ARRAY_SIZE(in_curl); i++)
        while (c->calls[in_curl[i]].first) abandon(c->calls[in_curl[i]].first);
    for (int state = 0; state < CALL_STATE_COUNT; state++)
        while (c->calls[state].first) {
            struct http_call *call = c->calls[state].first;
            unlist(call);
            call_free(call);
        }
    c->busy++;
    client_wires_release(c);
    client_pools_release(c);
    client_curl_release(c);
    client_loop_close(c);
}

/* When calls have been added to curl, curl makes the connections for all of them without a pause. So only a few calls
 * are added at a time. */
static bool may_begin(const struct http_client *c)
{
    return c->calls[CALL_NEW].first && c->added < ADDED_AT_ONCE;
}

/* Begins new calls. Returns false if this turn has no more time for new calls. */
static bool begin_some(struct http_client *c)
{
    while (may_begin(c)) {
        if (!client_has_time_for_calls(c)) return false;
        begin(c->calls[CALL_NEW].last);
    }
    return client_has_time_for_calls(c);
}

void client_settle(struct http_client *c)
{
    if (c->busy) return;
    c->busy++;
    bool more = true, has_time = true;
    while (more && !c->freed) {
        while (c->calls[CALL_CANCELLED].first) abandon(c->calls[CALL_CANCELLED].first);
        has_time = begin_some(c);
        more = has_time && (reap(c) || c->calls[CALL_CANCELLED].first || may_begin(c));
    }
    if (!c->freed && (!has_time || c->calls[CALL_NEW].first)) client_kick(c);
    c->busy--;
    if (c->freed) destroy(c);
}

/* The interface. */

struct http_client *http_client_new(uv_loop_t *loop, const struct http_client_options *options)
{
    struct http_client *c = xcalloc(1, sizeof *c);
    c->loop = loop;
    if (options) c->options = *options;
    client_loop_init(c);
    if (!c->options.only_socket_files) client_need_curl(c);
    return c;
}

void http_client_free(struct http_client *c)
{
    if (!c || c->freed) return;
    c->freed = true;
    if (!c->busy) destroy(c);
}

struct http_call *http_call_start(struct http_client *c, const struct http_call_options *options)
{
    struct http_call *call = c->calls[CALL_SPARE].first;
    if (!call) {
        call = call_new(c);
        enlist(call);
    }
    call_prepare(call, options);
    call->number = ++c->started;
    call_move(call, CALL_NEW);
    client_kick(c);
    return call;
}

size_t http_client_calls_to_begin(const struct http_client *c)
{
    return c->calls[CALL_NEW].count;
}

void http_call_cancel(struct http_call *call)
{
    if (call->state == CALL_NEW)
        call_retire(call);
    else if (call->state == CALL_RUNNING && call->client->busy)
        call_move(call, CALL_CANCELLED);
    else if (call->state == CALL_RUNNING)
        abandon(call);
}
