#include "worker/chunk/chunk.h"

#include "common/json/json_scan.h"
#include "worker/chunk/chunk_internal.h"

static const char *const end_names[] = {"complete", "draining", "deadline"};
static_assert(ARRAY_SIZE(end_names) == CHUNK_END_COUNT, "a name for each end");

struct chunk *chunk_new(bool check_items, size_t size_hint)
{
    struct chunk *c = xcalloc(1, sizeof *c);
    *c = (struct chunk){.refs = 1, .check_items = check_items, .name = ""};
    c->tail = &c->runs;
    /* One byte more than announced, because the last line may lack its newline. */
    if (size_hint && !buf_reserve(&c->items, size_hint + 1)) BUG("an item buffer without a cap refused %zu", size_hint);
    return c;
}

struct chunk *chunk_ref(struct chunk *c)
{
    c->refs++;
    return c;
}

void chunk_unref(struct chunk *c)
{
    if (!c || --c->refs) return;
    while (c->runs) {
        struct run *r = c->runs;
        c->runs = r->next;
        run_free(r);
    }
    common_value_unref(c->common);
    common_value_unref(c->trace);
    item_trace_free(c->item_trace);
    buf_release(&c->items);
    buf_release(&c->out);
    free(c);
}

/* Returns whether the line has only white space. Such a line is not an item. */
static bool is_blank(const char *line, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r') return false;
    return true;
}

/* A client must not be able to send a control line. So no item may begin with '#', not even an item of a trusted
 * sender. */
static bool item_ok(const struct chunk *c, const char *line, size_t len, struct chunk_fault *fault)
{
    size_t at = 0;
    const char *reason = "a JSON value was expected";
    bool ok = c->check_items ? json_valid(line, len, &at, &reason) : line[0] != '#';
    if (!ok)
        *fault =
            (struct chunk_fault){.item = c->received, .offset = (size_t)(line - c->items.data) + at, .reason = reason};
    return ok;
}

/* Counts the whole lines that have arrived. Blank lines are removed in place, so that the bytes of a run are
 * contiguous. Nothing moves before the first blank line. */
static bool read_lines(struct chunk *c, struct chunk_fault *fault)
{
    char *base = c->items.data;
    size_t end = c->items.len, read = c->line_start, write = c->line_start, seen = c->line_seen;
    for (;;) {
        char *newline = seen < end ? memchr(base + seen, '\n', end - seen) : NULL;
        if (!newline) break;
        size_t len = (size_t)(newline - (base + read));
        if (*(base + read) > ' ' || !is_blank(base + read, len)) {
            if (!item_ok(c, base + read, len, fault)) return false;
            if (write != read) memmove(base + write, base + read, len + 1);
            write += len + 1;
            c->received++;
        }
        read += len + 1;
        seen = read;
    }
    if (write != read) memmove(base + write, base + read, end - read);
    c->items.len = write + (end - read);
    c->line_start = write;
    c->line_seen = c->items.len;
    return true;
}

bool chunk_add(struct chunk *c, const char *data, size_t len, struct chunk_fault *fault)
{
    if (c->ended || len == 0) return true;
    if (!buf_add(&c->items, data, len)) BUG("an item buffer without a cap refused %zu bytes", len);
    return read_lines(c, fault);
}

bool chunk_finish(struct chunk *c, struct chunk_fault *fault)
{
    if (!c->ended && c->line_start < c->items.len && !chunk_add(c, "\n", 1, fault)) return false;
    c->whole = true;
    chunk_settle(c);
    return true;
}

size_t chunk_measure(const struct chunk *c, size_t offset, size_t len, uint64_t max_items, size_t max_bytes,
                     uint64_t *items)
{
    const char *start = c->items.data + offset, *end = start + len, *at = start;
    uint64_t n = 0;
    while (at < end && n < max_items) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline) BUG("an item without its newline");
        if (n > 0 && (size_t)(newline + 1 - start) > max_bytes) break;
        at = newline + 1;
        n++;
    }
    *items = n;
    return (size_t)(at - start);
}

static size_t uncut_bytes(const struct chunk *c)
{
    return c->line_start - c->cut_bytes;
}

static struct run *cut_run(struct chunk *c, uint64_t max_items, size_t max_bytes)
{
    uint64_t items, uncut = c->received - c->cut;
    size_t len = uncut_bytes(c);
    if (uncut > 1 && (max_items < uncut || max_bytes < len))
        len = chunk_measure(c, c->cut_bytes, len, max_items, max_bytes, &items);
    else
        items = uncut;
    struct run *r = run_append(c, c->cut, items, c->cut_bytes, len);
    c->cut += items;
    c->cut_bytes += len;
    return r;
}

uint64_t chunk_available(const struct chunk *c)
{
    if (c->ended) return 0;
    bool may_cut = !c->draining && c->held < LIMIT_WORKER_ANSWER_BYTES;
    return c->waiting + (may_cut ? c->received - c->cut : 0);
}

static struct run *first_waiting(const struct chunk *c)
{
    struct run *r = c->runs;
    while (r->state != RUN_WAITING || r->count == 0) r = r->next;
    return r;
}

uint64_t chunk_bisect_limit(const struct chunk *c)
{
    return c->waiting ? first_waiting(c)->bisect_limit : 0;
}

struct run *chunk_take(struct chunk *c, uint64_t max_items, size_t max_bytes)
{
    if (max_items == 0 || chunk_available(c) == 0) return NULL;
    struct run *r = NULL;
    if (c->waiting) {
        r = first_waiting(c);
        run_split(r, max_items, max_bytes);
        c->waiting -= r->count;
    } else {
        r = cut_run(c, max_items, max_bytes);
    }
    r->state = RUN_GIVEN;
    r->answered = 0;
    c->given++;
    chunk_ref(c);
    return r;
}

static void move_answers(struct chunk *c, struct run *r)
{
    if (r->answers.len == 0) return;
    if (c->out.len == 0) {
        struct buf empty = c->out;
        c->out = r->answers;
        r->answers = empty;
    } else if (!buf_add(&c->out, r->answers.data, r->answers.len)) {
        BUG("an answer buffer without a cap refused %zu bytes", r->answers.len);
    }
    buf_clear(&r->answers);
}

void chunk_advance(struct chunk *c)
{
    while (c->runs) {
        struct run *r = c->runs;
        move_answers(c, r);
        if (r->answered < r->count) break;
        c->runs = r->next;
        if (!c->runs) c->tail = &c->runs;
        run_free(r);
    }
}

static void add_cost(struct chunk *c)
{
    buf_addf(&c->out, "\"cost\":{\"items\":%llu,\"slot_s\":%.9f", (unsigned long long)c->cost.items,
             (double)c->cost.slot_ns / 1e9);
    if (c->cost.chunk_ns) buf_addf(&c->out, ",\"chunk_s\":%.9f", (double)c->cost.chunk_ns / 1e9);
    buf_add_str(&c->out, "}}\n");
}

void chunk_add_cost(struct chunk *c, uint64_t items, uint64_t slot_ns)
{
    c->cost.items += items;
    c->cost.slot_ns += slot_ns;
    if (!c->says_cost || c->ended || c->cost.slot_ns < c->cost_said_ns + COST_LINE_NS) return;
    size_t before = c->out.len;
    c->cost_said_ns = c->cost.slot_ns;
    buf_add_char(&c->out, '{');
    add_cost(c);
    c->held += c->out.len - before;
}

void chunk_say_starting(struct chunk *c, uint64_t processes)
{
    if (c->ended) return;
    c->starting = processes;
    if (!c->says_starting) return;
    size_t before = c->out.len;
    buf_addf(&c->out, "{\"starting\":%llu}\n", (unsigned long long)processes);
    c->held += c->out.len - before;
}

static void add_end_line(struct chunk *c, enum chunk_end how)
{
    size_t before = c->out.len;
    buf_addf(&c->out, "{\"end\":\"%s\",\"done\":%llu", end_names[how], (unsigned long long)chunk_done(c));
    if (c->says_cost && c->cost.items) {
        buf_add_char(&c->out, ',');
        add_cost(c);
    } else {
        buf_add_str(&c->out, "}\n");
    }
    c->held += c->out.len - before;
    c->ended = true;
}

void chunk_settle(struct chunk *c)
{
    if (c->ended) return;
    if (c->whole && !c->runs && c->cut == c->received)
        add_end_line(c, CHUNK_COMPLETE);
    else if (c->draining && !c->given && !c->waiting)
        chunk_end(c, CHUNK_DRAINING);
}

void chunk_add_settled(struct chunk *c, const char *line, size_t len)
{
    if (c->ended) return;
    if (c->cut < c->received) c->waiting += cut_run(c, UINT64_MAX, SIZE_MAX)->count;
    struct run *r = run_append(c, c->received, 0, c->cut_bytes, 0);
    run_add_answers(r, line, len);
    c->received++;
    c->cut++;
    chunk_advance(c);
    chunk_settle(c);
}

const char *chunk_peek(const struct chunk *c, size_t *len)
{
    *len = c->out.len - c->out_at;
    return c->out.data + c->out_at;
}

void chunk_skip(struct chunk *c, size_t len)
{
    c->out_at += len;
    c->held -= len;
    if (c->out_at < c->out.len) return;
    buf_clear(&c->out);
    c->out_at = 0;
}

ssize_t chunk_pull(struct chunk *c, char *dst, size_t cap)
{
    size_t ready, n;
    const char *data = chunk_peek(c, &ready);
    if (ready == 0) return c->ended ? -1 : 0;
    n = ready < cap ? ready : cap;
    memcpy(dst, data, n);
    chunk_skip(c, n);
    return (ssize_t)n;
}

bool chunk_take_whole(struct chunk *c, struct buf *answer)
{
    if (!c->ended || c->out_at || c->out.len < TAKE_MIN_BYTES) return false;
    *answer = c->out;
    c->out = (struct buf){0};
    c->held -= answer->len;
    return true;
}

uint64_t chunk_done(const struct chunk *c)
{
    return c->runs ? c->runs->first + c->runs->answered : c->cut;
}

static void drop_runs_not_given(struct chunk *c)
{
    struct run **at = &c->runs;
    while (*at) {
        struct run *r = *at;
        if (r->state == RUN_GIVEN) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        run_free(r);
    }
    c->tail = at;
    c->waiting = 0;
}

void chunk_end(struct chunk *c, enum chunk_end how)
{
    if (c->ended) return;
    add_end_line(c, how);
    drop_runs_not_given(c);
}

void chunk_abandon(struct chunk *c, uint64_t now)
{
    c->ended = true;
    if (!c->abandoned_ns) c->abandoned_ns = now;
    drop_runs_not_given(c);
}
