/*
 * Reads long answers in turns. curl reads an answer until no more bytes are available, which can take milliseconds. A
 * short answer to another call must not wait so long. So when SHORT_BYTES of an answer have been read, its call is
 * held: curl stops reading the answer, and the call queues for its turn. For a call of plain http, our code does not
 * read the socket until the call's turn. In each turn of the loop, long answers are read for LONG_ANSWERS_NS: one after
 * another, TURN_BYTES of each.
 */
#include "common/http_client/http_client_internal.h"
#include "common/observe/log.h"

#define SHORT_BYTES     (16 * 1024)
#define TURN_BYTES      (64 * 1024)
#define LONG_ANSWERS_NS (200 * NS_PER_US)

static const char *const flow_names[] = {
    [CALL_FLOW_SHORT] = "short",
    [CALL_FLOW_LONG] = "long",
    [CALL_FLOW_READY] = "ready",
    [CALL_FLOW_HELD] = "held",
};
static_assert(ARRAY_SIZE(flow_names) == CALL_FLOW_COUNT, "every flow has a name");

static bool queues(enum call_flow flow)
{
    return flow == CALL_FLOW_READY || flow == CALL_FLOW_HELD;
}

static void queue_add(struct http_call *call)
{
    struct http_client *c = call->client;
    call->next_long = NULL;
    *c->last_long = call;
    c->last_long = &call->next_long;
    turn_stay_awake(&c->long_answers, true);
}

static void queue_remove(struct http_call *call)
{
    struct http_client *c = call->client;
    struct http_call **at = &c->first_long;
    while (*at != call) at = &(*at)->next_long;
    *at = call->next_long;
    if (c->last_long == &call->next_long) c->last_long = at;
}

void call_move_flow(struct http_call *call, enum call_flow to)
{
    enum call_flow from = call->flow;
    if (from == to) return;
    if (queues(from) && !queues(to)) queue_remove(call);
    if (!queues(from) && queues(to)) queue_add(call);
    call->flow = to;
    log_debug("call flow moved", LOG_U64("call", call->number), LOG_STR("from", flow_names[from]),
              LOG_STR("to", flow_names[to]));
}

void call_count_bytes(struct http_call *call, size_t len)
{
    call->turn_bytes += len;
    if (call->flow == CALL_FLOW_HELD) return;
    if (call->turn_bytes < (call->flow == CALL_FLOW_SHORT ? SHORT_BYTES : TURN_BYTES)) return;
    if (!call->is_plain) libcurl.easy_pause(call->easy, CURLPAUSE_RECV);
    call_move_flow(call, call->is_plain ? CALL_FLOW_READY : CALL_FLOW_HELD);
}

static void read_turn(struct http_call *call)
{
    struct http_client *c = call->client;
    bool held = call->flow == CALL_FLOW_HELD;
    call_move_flow(call, CALL_FLOW_LONG);
    call->turn_bytes = 0;
    if (call->is_plain) {
        exchange_read_turn(call);
        return;
    }
    if (held && !call_is_over(call)) {
        c->busy++;
        call_resume(call);
        c->busy--;
    }
    if (call_is_over(call))
        client_settle(c);
    else
        client_drive(c, call->fd, CURL_CSELECT_IN);
}

void client_read_long_answers(struct http_client *c)
{
    if (!c->first_long) return;
    uint64_t end_ns = uv_hrtime() + LONG_ANSWERS_NS;
    while (c->first_long && !c->freed) {
        read_turn(c->first_long);
        if (uv_hrtime() >= end_ns) return;
    }
}
