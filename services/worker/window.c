#include "window.h"

#include "json_scan.h"

void window_init(struct window *w)
{
    *w = (struct window){.limit = 1};
    w->tail = &w->head;
}

/* Time per item as far as we know, the item it is at included. */
static uint64_t expected_ns(const struct window *w, uint64_t now)
{
    uint64_t running = w->items && now > w->head_since_ns ? now - w->head_since_ns : 0;
    /* Waiting for a batch to be answered is not one slow item, until it takes longer than the whole batch should. */
    return running > WINDOW_TARGET_NS ? running : w->item_ns;
}

static uint64_t affordable(const struct window *w, uint64_t now)
{
    uint64_t ns = expected_ns(w, now), n = ns ? WINDOW_TARGET_NS / ns : WINDOW_MAX_ITEMS;
    uint64_t by_answers = w->answer_bytes ? WINDOW_MAX_BYTES / w->answer_bytes : WINDOW_MAX_ITEMS;
    if (n > by_answers) n = by_answers;
    return n < 1 ? 1 : n > WINDOW_MAX_ITEMS ? WINDOW_MAX_ITEMS : n;
}

uint64_t window_room(struct window *w, uint64_t now)
{
    uint64_t limit = affordable(w, now);
    if (limit > w->limit) limit = w->limit;
    if (w->items > limit / 2 || w->bytes >= WINDOW_MAX_BYTES) {
        w->filled = true;
        return 0;
    }
    return limit - w->items;
}

size_t window_room_bytes(const struct window *w)
{
    size_t left = w->bytes < WINDOW_MAX_BYTES ? WINDOW_MAX_BYTES - w->bytes : 0;
    /* Half at once: the process should have a second run to go on with when it ends the first. */
    return left < WINDOW_MAX_BYTES / 2 ? left : WINDOW_MAX_BYTES / 2;
}

uint64_t window_min_run(const struct window *w)
{
    uint64_t n = w->item_ns ? WINDOW_RUN_NS / w->item_ns : 1;
    return n ? n : 1;
}

void window_push(struct window *w, struct run *r, uint64_t now)
{
    if (!w->head) w->head_since_ns = now;
    r->next_given = NULL;
    r->since_ns = now;
    *w->tail = r;
    w->tail = &r->next_given;
    w->items += r->count;
    w->bytes += r->len;
    w->given += r->count;
    if (w->items >= w->limit) w->filled = true;
}

struct run *window_pop(struct window *w)
{
    struct run *r = w->head;
    if (!r) return NULL;
    w->head = r->next_given;
    if (!w->head) w->tail = &w->head;
    w->items -= r->count - r->answered;
    w->bytes -= r->len;
    r->next_given = NULL;
    return r;
}

static void learn(struct window *w, uint64_t answers, size_t bytes, uint64_t now)
{
    uint64_t sample = (now > w->head_since_ns ? now - w->head_since_ns : 0) / answers;
    w->item_ns = sample >= w->item_ns ? sample : (w->item_ns + sample) / 2;
    w->answer_bytes = (w->answer_bytes + bytes / answers + 1) / 2;
    w->head_since_ns = now;
    if (w->head) w->head->since_ns = now;
    uint64_t limit = affordable(w, now);
    if (limit < w->limit)
        w->limit = limit;
    else if (w->filled)
        w->limit = w->limit * 2 < limit ? w->limit * 2 : limit;
    w->filled = false;
}

static const char *line_fault(const char *line, size_t len, bool envelope, struct chunk *c)
{
    static const char not_json[] = "its output is not JSON";
    if (!envelope) {
        size_t offset;
        const char *reason;
        if (!json_valid(line, len, &offset, &reason)) return not_json;
        c->succeeded++;
        return NULL;
    }
    struct answer_line a = answer_line_parse(line, len, true);
    if (a.kind == ANSWER_VALUE)
        c->succeeded++;
    else if (a.kind == ANSWER_ERROR)
        c->failed++;
    else
        return "its output is not {\"value\":...} or {\"error\":{...}} with valid JSON";
    return NULL;
}

static void add_envelopes(struct buf *b, const char *lines, size_t len)
{
    static const char open[] = "{\"value\":";
    for (const char *at = lines, *end = lines + len; at < end;) {
        size_t n = (size_t)((const char *)memchr(at, '\n', (size_t)(end - at)) - at);
        size_t value = n && at[n - 1] == '\r' ? n - 1 : n;
        buf_add(b, open, sizeof open - 1);
        buf_add(b, at, value);
        buf_add(b, "}\n", 2);
        at += n + 1;
    }
}

/* Hands lines, all of them answers of the first run, to its chunk, with their memory when they are all that is in it;
 * takes the run off when that was its end. */
static void settle(struct window *w, const char *lines, size_t len, struct buf *memory, uint64_t n, bool envelope,
                   void (*progress)(struct chunk *c))
{
    struct run *r = w->head;
    struct chunk *c = chunk_ref(r->chunk);
    struct buf wrapped = {0};
    if (!envelope) {
        add_envelopes(&wrapped, lines, len);
        lines = wrapped.data;
        len = wrapped.len;
        memory = &wrapped;
    }
    w->items -= n;
    w->answered += n;
    if (r->answered + n == r->count) {
        w->head = r->next_given;
        if (!w->head) w->tail = &w->head;
        w->bytes -= r->len;
    }
    if (memory && len == memory->len)
        run_take_answers(r, memory, n);
    else
        run_answer(r, lines, len, n);
    buf_release(&wrapped);
    progress(c);
    chunk_unref(c);
}

static struct intake take_lines(struct window *w, const char *data, size_t len, struct buf *memory, bool envelope,
                                uint64_t now, void (*progress)(struct chunk *c))
{
    struct intake in = {0};
    const char *at = data, *end = data + len, *batch = data; /* batch: first line not settled yet */
    uint64_t n = 0;                                          /* lines of the batch */
    while (at + w->seen < end) {
        const char *newline = memchr(at + w->seen, '\n', (size_t)(end - at) - w->seen);
        if (!newline) break;
        w->seen = 0;
        in.unasked = !w->head;
        in.fault = in.unasked ? "it wrote a line nobody asked for"
                              : line_fault(at, (size_t)(newline - at), envelope, w->head->chunk);
        if (in.fault) break;
        at = newline + 1;
        n++;
        if (w->head->answered + n < w->head->count) continue;
        in.answers += n;
        settle(w, batch, (size_t)(at - batch), memory, n, envelope, progress);
        batch = at;
        n = 0;
    }
    if (n) settle(w, batch, (size_t)(at - batch), memory, n, envelope, progress);
    in.answers += n;
    in.used = (size_t)(at - data);
    w->seen = in.fault ? 0 : (size_t)(end - at);
    if (in.answers) learn(w, in.answers, in.used, now);
    return in;
}

struct intake window_intake(struct window *w, const char *data, size_t len, bool envelope, uint64_t now,
                            void (*progress)(struct chunk *c))
{
    return take_lines(w, data, len, NULL, envelope, now, progress);
}

struct intake window_take(struct window *w, struct buf *lines, bool envelope, uint64_t now,
                          void (*progress)(struct chunk *c))
{
    return take_lines(w, lines->data, lines->len, lines, envelope, now, progress);
}
