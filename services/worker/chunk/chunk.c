#include "worker/chunk/chunk.h"

#include "common/base/memory_room.h"
#include "common/json/encoding.h"
#include "worker/chunk/chunk_internal.h"

static const char *const end_names[] = {"complete", "draining", "deadline"};
static_assert(ARRAY_SIZE(end_names) == CHUNK_END_COUNT, "a name for each end");

struct chunk *chunk_new(bool check_items, size_t size_hint)
{
    struct chunk *c = xcalloc(1, sizeof *c);
    *c = (struct chunk){.refs = 1, .check_items = check_items, .name = ""};
    /* Reserves one byte more than the client announced, because the last line may lack its newline. */
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
    line_queue_release(&c->out);
    free(c);
}

enum { LONG_LINE_BYTES = 4096 }; /* shorter lines are checked when they are whole */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Reads the blank bytes at the start of the first line that has not been read yet. Returns whether the line has only
 * blank bytes so far. A line of blank bytes is not an item. */
static bool begins_blank(struct chunk *c, const char *line, size_t len)
{
    while (c->line_blank < len && is_blank(line[c->line_blank])) c->line_blank++;
    return c->line_blank == len;
}

/* Checks a long line while it arrives, because checking the complete line in one step would block the loop. Returns
 * false when the line is not JSON. */
static bool scan_line(struct chunk *c, const char *line, size_t len, bool whole, size_t *at, const char **reason)
{
    size_t used;
    if (c->line_scanned == 0) json_scan_init(&c->scan, LIMIT_JSON_DEPTH);
    enum json_scan_status status = json_scan_feed(&c->scan, line + c->line_scanned, len - c->line_scanned, &used);
    c->line_scanned += used;
    if (status == JSON_SCAN_MORE && whole) status = json_scan_finish(&c->scan);
    if (status == JSON_SCAN_WHOLE)
        while (c->line_scanned < len && is_blank(line[c->line_scanned])) c->line_scanned++;
    *at = c->line_scanned;
    *reason = status == JSON_SCAN_ERROR ? c->scan.error : "nothing was expected after the value";
    return status != JSON_SCAN_ERROR && (status == JSON_SCAN_MORE || c->line_scanned == len);
}

/* Sets *fault: the item in the line is not valid at its byte `at`. Returns false. */
static bool fail_line(const struct chunk *c, const char *line, size_t len, size_t at, const char *reason,
                      struct chunk_fault *fault)
{
    const char *wide = encoding_fault(encoding_of(line, len));
    *fault = (struct chunk_fault){
        .item = c->received, .offset = (size_t)(line - c->items.data) + at, .reason = wide ? wide : reason};
    return false;
}

/* A client must not be able to send a control line. So no item may begin with '#', even if the sender is trusted. */
static bool item_ok(struct chunk *c, const char *line, size_t len, struct chunk_fault *fault)
{
    size_t at = 0;
    const char *reason = "a JSON value was expected";
    bool ok = line[0] != '#';
    if (c->check_items)
        ok = c->line_scanned ? scan_line(c, line, len, true, &at, &reason) : json_valid(line, len, &at, &reason);
    return ok || fail_line(c, line, len, at, reason, fault);
}

/* If the unfinished line is long and its item is checked, scans the new bytes of the line. Returns false, with *fault
 * set, if the line is not valid JSON. */
static bool look_at_rest(struct chunk *c, struct chunk_fault *fault)
{
    const char *line = c->items.data + c->line_start, *reason;
    size_t len = c->items.len - c->line_start, at;
    if (begins_blank(c, line, len) || !c->check_items || len < LONG_LINE_BYTES) return true;
    return scan_line(c, line, len, false, &at, &reason) || fail_line(c, line, len, at, reason, fault);
}

/* Counts the whole lines that have arrived. Blank lines are removed in place, so that the bytes of a run are
 * contiguous. Lines before the first blank line stay where they are. */
static bool read_lines(struct chunk *c, struct chunk_fault *fault)
{
    char *base = c->items.data;
    size_t end = c->items.len, read = c->line_start, write = c->line_start, seen = c->line_seen;
    for (;;) {
        char *newline = seen < end ? memchr(base + seen, '\n', end - seen) : NULL;
        if (!newline) break;
        size_t len = (size_t)(newline - (base + read));
        if (*(base + read) > ' ' || !begins_blank(c, base + read, len)) {
            if (!item_ok(c, base + read, len, fault)) return false;
            if (write != read) memmove(base + write, base + read, len + 1);
            write += len + 1;
            c->received++;
        }
        read += len + 1;
        seen = read;
        c->line_blank = c->line_scanned = 0;
    }
    if (write != read) memmove(base + write, base + read, end - read);
    c->items.len = write + (end - read);
    c->line_start = write;
    c->line_seen = c->items.len;
    return look_at_rest(c, fault);
}

bool chunk_add(struct chunk *c, const char *data, size_t len, struct chunk_fault *fault)
{
    if (c->ended || len == 0) return true;
    if (!buf_add(&c->items, data, len)) BUG("an item buffer without a cap refused %zu bytes", len);
    return read_lines(c, fault);
}

bool chunk_reserve(struct chunk *c, size_t len)
{
    return c->ended || (memory_has_room(buf_growth(&c->items, len)) && buf_reserve(&c->items, len));
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
    line_queue_move(&c->out, &r->answers);
}

void chunk_advance(struct chunk *c)
{
    while (c->runs) {
        struct run *r = c->runs;
        move_answers(c, r);
        if (r->answered < r->count) break;
        run_unlink(r);
        run_free(r);
    }
}

enum { CONTROL_LINE_BYTES = 256 };

/* To add a line about the chunk itself: call begin_line(), append the line to the buffer, then call end_line(). */
static struct buf *begin_line(struct chunk *c)
{
    return line_queue_room(&c->out, CONTROL_LINE_BYTES);
}

static void end_line(struct chunk *c, const struct buf *out, size_t before)
{
    line_queue_added(&c->out, out->len - before);
    c->held += out->len - before;
}

static void add_cost(struct chunk *c, struct buf *out)
{
    if (c->chunk_ns) c->cost.chunk_ns = c->chunk_ns(c);
    buf_addf(out, "\"cost\":{\"items\":%llu,\"slot_s\":%.9f", (unsigned long long)c->cost.items,
             (double)c->cost.slot_ns / 1e9);
    if (c->cost.chunk_ns) buf_addf(out, ",\"chunk_s\":%.9f", (double)c->cost.chunk_ns / 1e9);
    buf_add_str(out, "}}\n");
}

static void say_cost(struct chunk *c)
{
    if (!c->says_cost || c->ended) return;
    struct buf *out = begin_line(c);
    size_t before = out->len;
    c->cost_said_ns = c->cost.slot_ns;
    buf_add_char(out, '{');
    add_cost(c, out);
    end_line(c, out, before);
}

void chunk_add_cost(struct chunk *c, uint64_t items, uint64_t slot_ns)
{
    c->cost.items += items;
    c->cost.slot_ns += slot_ns;
    if (c->cost.slot_ns >= c->cost_said_ns + COST_LINE_NS) say_cost(c);
}

void chunk_say_alive(struct chunk *c)
{
    if (c->out.len == 0) say_cost(c);
}

void chunk_say_starting(struct chunk *c, uint64_t processes)
{
    if (c->ended) return;
    c->starting = processes;
    if (!c->says_starting) return;
    struct buf *out = begin_line(c);
    size_t before = out->len;
    buf_addf(out, "{\"starting\":%llu}\n", (unsigned long long)processes);
    end_line(c, out, before);
}

static void add_end_line(struct chunk *c, enum chunk_end how)
{
    struct buf *out = begin_line(c);
    size_t before = out->len;
    buf_addf(out, "{\"end\":\"%s\",\"done\":%llu", end_names[how], (unsigned long long)chunk_done(c));
    if (c->says_cost && c->cost.items) {
        buf_add_char(out, ',');
        add_cost(c, out);
    } else {
        buf_add_str(out, "}\n");
    }
    end_line(c, out, before);
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
    run_join_completed(r);
    chunk_advance(c);
    chunk_settle(c);
}

const char *chunk_first_line(const struct chunk *c, size_t *len)
{
    return line_queue_first_line(&c->out, len);
}

void chunk_skip(struct chunk *c, size_t len)
{
    line_queue_skip(&c->out, len);
    c->held -= len;
}

ssize_t chunk_pull(struct chunk *c, char *dst, size_t cap)
{
    size_t done = 0;
    while (done < cap && c->out.len) {
        size_t ready, n;
        const char *data = line_queue_peek(&c->out, &ready);
        n = ready < cap - done ? ready : cap - done;
        memcpy(dst + done, data, n);
        chunk_skip(c, n);
        done += n;
    }
    return done ? (ssize_t)done : c->ended ? -1 : 0;
}

bool chunk_take_whole(struct chunk *c, struct buf *answer)
{
    if (!c->ended || c->out.len < LINE_QUEUE_LONG_BYTES) return false;
    if (!line_queue_detach(&c->out, answer)) return false;
    c->held -= answer->len;
    return true;
}

uint64_t chunk_done(const struct chunk *c)
{
    return c->runs ? c->runs->first + c->runs->answered : c->cut;
}

static void drop_runs_not_given(struct chunk *c)
{
    for (struct run *r = c->runs, *next; r; r = next) {
        next = r->next;
        if (r->state == RUN_GIVEN) continue;
        run_unlink(r);
        run_free(r);
    }
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
