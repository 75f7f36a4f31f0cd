#include "common/http_client/http_client_internal.h"

/* run_kicks() does at most this many rounds in a row. The remaining rounds wait until the other parts of the loop have
 * run. */
#define MAX_ROUNDS 8
/* In each turn, the client serves wires for about this long, and begins new calls for about this long. Further work
 * waits for the next turn, so that a thousand workers that answer together, or a thousand new connections, do not make
 * one long turn. */
#define TURN_NS (4 * NS_PER_MS)

static bool has_time(uint64_t *end_ns)
{
    uint64_t now = uv_hrtime();
    if (*end_ns == 0) *end_ns = now + TURN_NS;
    return now < *end_ns;
}

bool client_has_time_for_events(struct http_client *c)
{
    return has_time(&c->events_end_ns);
}

bool client_has_time_for_calls(struct http_client *c)
{
    return has_time(&c->calls_end_ns);
}

void client_drive(struct http_client *c, curl_socket_t fd, int mask)
{
    int running;
    c->added = 0;
    c->busy++;
    libcurl.multi_socket_action(c->multi, fd, mask, &running);
    c->busy--;
    client_settle(c);
}

void client_handle_closed(struct http_client *c)
{
    if (--c->open_handles > 0) return;
    free(c->sockets);
    free(c->room);
    free(c);
}

static void on_curl_time(uv_timer_t *timer)
{
    struct http_client *c = timer->data;
    c->due = false;
    client_drive(c, CURL_SOCKET_TIMEOUT, 0);
}

int client_on_curl_timer(CURLM *multi, long timeout_ms, void *client)
{
    struct http_client *c = client;
    c->due = timeout_ms == 0;
    if (c->due)
        client_kick(c);
    else if (timeout_ms < 0)
        uv_timer_stop(&c->curl_timer);
    else
        uv_timer_start(&c->curl_timer, on_curl_time, (uint64_t)timeout_ms, 0);
    return 0;
}

/* Makes the loop send the new calls before it sleeps. The step after the poll sends the calls that this turn's events
 * started. The step before sleep sends the calls that were started since the step after the poll. A callback that runs
 * in the step before sleep may give work to another part of the program, whose own step has already run. So after a
 * callback in the step before sleep, the loop does not sleep. If no callback has run, the loop may sleep even right
 * after it has sent a call, because the peer often needs this processor to answer. */
void client_kick(struct http_client *c)
{
    if (c->kicked || c->freed) return;
    c->kicked = true;
    turn_stay_awake(&c->long_answers, true);
}

void client_keep_loop(struct http_client *c, bool keep)
{
    turn_keep_loop(&c->after_poll, keep);
}

/* If curl does not ask for a run (!c->due), curl has no new calls: each call that was added has begun, or was
 * cancelled. */
static void run_kicks(struct http_client *c)
{
    for (int round = 0; round < MAX_ROUNDS && c->kicked && !c->freed; round++) {
        if (!c->due) c->added = 0;
        c->kicked = false;
        client_settle(c);
        if (c->freed || !c->due) continue;
        c->due = false;
        client_drive(c, CURL_SOCKET_TIMEOUT, 0);
    }
}

static void sleep_if_done(struct http_client *c)
{
    if (!c->kicked && !c->first_long && c->postponed.n == 0) turn_stay_awake(&c->long_answers, false);
}

static void before_sleep(void *client)
{
    struct http_client *c = client;
    c->callback_ran = false;
    run_kicks(c);
    c->events_end_ns = c->calls_end_ns = 0;
    client_serve_postponed(c);
    if (!c->callback_ran) sleep_if_done(c);
}

static void after_poll(void *client)
{
    struct http_client *c = client;
    run_kicks(c);
    sleep_if_done(c);
}

/* When this step runs, the steps after the poll have already handled requests and short answers. */
static void read_long_answers(void *client)
{
    struct http_client *c = client;
    run_kicks(c);
    client_read_long_answers(c);
}

void client_loop_init(struct http_client *c)
{
    uv_timer_init(c->loop, &c->curl_timer);
    uv_timer_init(c->loop, &c->silence_timer);
    c->curl_timer.data = c->silence_timer.data = c;
    c->open_handles = 2;
    c->last_long = &c->first_long;
    turn_add(c->loop, &c->after_poll, TURN_AFTER_POLL_CLIENT, after_poll, c);
    turn_add(c->loop, &c->long_answers, TURN_IDLE_LONG_ANSWERS, read_long_answers, c);
    turn_add(c->loop, &c->before_sleep, TURN_BEFORE_SLEEP_CLIENT, before_sleep, c);
    uv_unref((uv_handle_t *)&c->curl_timer);
    uv_unref((uv_handle_t *)&c->silence_timer);
    client_wires_init(c);
}

static void on_fixed_handle_closed(uv_handle_t *handle)
{
    client_handle_closed(handle->data);
}

void client_loop_close(struct http_client *c)
{
    uv_close((uv_handle_t *)&c->curl_timer, on_fixed_handle_closed);
    uv_close((uv_handle_t *)&c->silence_timer, on_fixed_handle_closed);
    turn_remove(&c->after_poll);
    turn_remove(&c->long_answers);
    turn_remove(&c->before_sleep);
}
