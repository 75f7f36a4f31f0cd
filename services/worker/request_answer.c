/* Sends the answer of a request. Answers go from stage to stage, and from the last stage to the client. */
#include "worker/request_internal.h"

#define QUIET_MS   3000
#define PUMP_BYTES ((size_t)1 * MIB) /* bytes to hand over in one turn of the loop; copying them takes 0.5 ms */

/* Hands some answers of one stage over to the next stage. */
static void pump(struct stage *s)
{
    struct stage *to = s + 1;
    bool held_back = s->chunk->held >= LIMIT_WORKER_ANSWER_BYTES;
    if (s->chunk->starting) chunk_say_starting(to->chunk, s->chunk->starting);
    s->chunk->starting = 0;
    s->handover.from = s->chunk;
    s->handover.to = to->chunk;
    s->pumps = handover_step(&s->handover, PUMP_BYTES);
    if (s->pumps) turn_stay_awake(&s->request->worker->requests.pump_step, true);
    if (to->chunk->on_progress) to->chunk->on_progress(to->chunk);
    pool_feed(to->pool);
    if (held_back) pool_feed(s->pool);
}

/* Returns a stage that has more answers to hand over; NULL when there is none. */
static struct stage *next_pump(const struct requests *set)
{
    for (struct request *r = set->first; r; r = r->next)
        for (unsigned i = 0; i + 1 < r->count; i++)
            if (r->stages[i].pumps) return &r->stages[i];
    return NULL;
}

void request_pump(void *data)
{
    struct requests *set = data;
    struct stage *s = next_pump(set);
    if (s) pump(s);
    if (!next_pump(set)) turn_stay_awake(&set->pump_step, false);
}

static void send_answers(struct request *r)
{
    r->gathers = false;
    r->woken_ns = now_ns();
    http_exchange_wake(r->x);
}

static void on_gathered(uv_timer_t *timer)
{
    const struct requests *set = timer->data;
    for (struct request *r = set->first; r; r = r->next)
        if (r->gathers) send_answers(r);
}

/* Sending few answers costs the worker, the coordinator and its client about as much as sending many. So an answer that
 * follows soon after the last send waits a little for more answers, unless it is the last answer or many answers are
 * waiting. */
static void gather_answers(struct request *r)
{
    const struct chunk *c = request_last_stage(r)->chunk;
    struct requests *set = &r->worker->requests;
    if (c->ended || c->held >= LIMIT_GATHER_BYTES || now_ns() - r->woken_ns >= LIMIT_GATHER_MS * NS_PER_MS) {
        send_answers(r);
        return;
    }
    r->gathers = true;
    if (!uv_is_active((uv_handle_t *)&set->gather)) uv_timer_start(&set->gather, on_gathered, LIMIT_GATHER_MS, 0);
}

void request_on_progress(struct chunk *c)
{
    struct stage *s = c->owner;
    if (s == request_last_stage(s->request))
        gather_answers(s->request);
    else
        pump(s);
}

/* An item may wait for its turn behind long items, or run a second time after another item has blocked its process. So
 * an answer may bring no value for longer than the time limit of an item. After QUIET_MS without a byte, a line with
 * the cost so far tells the coordinator that the worker still runs. */
static void on_quiet(uv_timer_t *timer)
{
    const struct requests *set = timer->data;
    uint64_t now = now_ns();
    bool others = false;
    for (struct request *r = set->first; r; r = r->next) {
        if (r->state != REQUEST_ANSWERING && r->state != REQUEST_STREAMING) continue;
        others = true;
        if (now - r->sent_ns < QUIET_MS * NS_PER_MS) continue;
        chunk_say_alive(request_last_stage(r)->chunk);
        send_answers(r);
    }
    if (others) uv_timer_start(timer, on_quiet, QUIET_MS / 2, 0);
}

/* Records that the head of the answer is sent. The head is sent together with the bytes that were just pulled. */
static void note_head(struct request *r)
{
    if (r->state == REQUEST_ANSWERING) request_move(r, REQUEST_STREAMING);
}

ssize_t request_on_pull(struct http_exchange *x, char *dst, size_t cap)
{
    struct request *r = http_exchange_data(x);
    struct stage *s = request_last_stage(r);
    bool held_back = s->chunk->held >= LIMIT_WORKER_ANSWER_BYTES;
    ssize_t n = chunk_pull(s->chunk, dst, cap);
    if (n) note_head(r);
    if (n > 0) r->sent_ns = now_ns();
    if (n < 0) return HTTP_PULL_END;
    if (held_back && s->chunk->held < LIMIT_WORKER_ANSWER_BYTES) pool_feed(s->pool);
    return n ? n : HTTP_PULL_WAIT;
}

bool request_on_whole(struct http_exchange *x, struct buf *answer)
{
    struct request *r = http_exchange_data(x);
    if (!chunk_take_whole(request_last_stage(r)->chunk, answer)) return false;
    note_head(r);
    return true;
}

/* The head of an answer is sent together with the first value, which saves a packet. If the first value takes a long
 * time, the head is sent alone, because the coordinator needs the number of slots, which the head contains. */
static void on_heads(uv_timer_t *timer)
{
    const struct requests *set = timer->data;
    bool others = false;
    for (struct request *r = set->first; r; r = r->next) {
        if (r->state != REQUEST_ANSWERING) continue;
        if (now_ns() - r->answering_ns < LIMIT_HEAD_WAIT_MS * NS_PER_MS / 2) {
            others = true;
            continue;
        }
        request_move(r, REQUEST_STREAMING);
        http_exchange_send_head(r->x);
    }
    if (others) uv_timer_start(timer, on_heads, LIMIT_HEAD_WAIT_MS / 2, 0);
}

uint64_t request_chunk_ns(const struct chunk *c)
{
    const struct stage *s = c->owner;
    const struct worker *w = s->request->worker;
    return unit_cost_now(&w->chunk_cost, 2 * w->requests.held_bytes, thread_cpu_ns());
}

void request_begin_answer(struct request *r)
{
    struct requests *set = &r->worker->requests;
    const char *cost = http_exchange_header(r->x, HEADER_COST);
    struct chunk *last = request_last_stage(r)->chunk;
    const char *starting = http_exchange_header(r->x, HEADER_STARTING);
    last->says_cost = cost && strcmp(cost, "lines") == 0;
    last->says_starting = starting && strcmp(starting, "lines") == 0;
    worker_set_headers(r->worker, r->x, r->stages[0].pool);
    request_move(r, REQUEST_ANSWERING);
    http_answer_stream(r->x, 200, TYPE_NDJSON);
    r->answering_ns = r->sent_ns = now_ns();
    if (!uv_is_active((uv_handle_t *)&set->heads)) uv_timer_start(&set->heads, on_heads, LIMIT_HEAD_WAIT_MS, 0);
    if (!uv_is_active((uv_handle_t *)&set->quiet)) uv_timer_start(&set->quiet, on_quiet, QUIET_MS, 0);
}
