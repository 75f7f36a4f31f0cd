/* The reading part of window.h: turns the lines of a process into answers of its runs. */
#include "worker/process/window_internal.h"

#include "common/json/encoding.h"
#include "common/json/json_scan.h"
#include "worker/process/numbered.h"

/* The state of one call of window_intake(). */
struct reading {
    struct window *w;
    void (*progress)(struct chunk *c);
    struct buf *memory;      /* the buffer of the one line that is read, whose memory may be taken over; NULL: none */
    const char *batch;       /* FORM_TRUSTED: the first line that is not settled */
    struct line_queue lines; /* answers that are not settled: for FORM_NUMBERED, or if the memory was taken over */
    uint64_t n, failed;      /* how many answers are not settled, and how many of them are errors */
    uint64_t answers;        /* how many are settled */
    uint64_t slot_ns;        /* time since the last answers that is not yet charged to a chunk */
};

/* Call it when the first `done` items of the first run are answered. If these are all its items, removes the run and
 * returns true. */
static bool pop_answered(struct window *w, struct run *r, uint64_t done)
{
    if (done < r->count) return false;
    w->head = r->next_given;
    if (!w->head) w->tail = &w->head;
    w->bytes -= r->len;
    return true;
}

/* Passes the answers that were read to the chunk of the first run, or adds them to the kept answers. All these answers
 * belong to the first run. `end` is the end of the last line. */
static void settle(struct reading *rd, const char *end)
{
    struct window *w = rd->w;
    struct run *r = w->head;
    uint64_t n = rd->n, failed = rd->failed;
    const char *lines = rd->batch;
    size_t len = (size_t)(end - rd->batch);
    rd->batch = end;
    if (n == 0) return;
    rd->n = rd->failed = 0;
    rd->answers += n;
    /* The first run that is answered now is charged with the time since the last answers. */
    chunk_add_cost(r->chunk, n, rd->slot_ns);
    rd->slot_ns = 0;
    w->flushed = false;
    w->items -= n;
    w->answered += n;
    if (window_is_checked(w)) {
        w->kept_items += n;
        w->kept_failed += failed;
        if (pop_answered(w, r, w->kept_items)) w->unconfirmed = r;
        return;
    }
    struct chunk *c = chunk_ref(r->chunk);
    c->failed += failed;
    c->succeeded += n - failed;
    pop_answered(w, r, r->answered + n);
    if (rd->lines.len)
        run_take_answers(r, &rd->lines, n);
    else
        run_answer(r, lines, len, n);
    rd->progress(c);
    chunk_unref(c);
}

/* Counts one more answer of the first run; `end` is the end of its line. */
static void count_answer(struct reading *rd, bool failed, const char *end)
{
    struct window *w = rd->w;
    rd->n++;
    rd->failed += failed;
    uint64_t before = window_is_checked(w) ? w->kept_items : w->head->answered;
    if (before + rd->n == w->head->count) settle(rd, end);
}

static const char open_value[] = "{\"value\":";
enum { OPEN_BYTES = sizeof open_value - 1, CLOSE_BYTES = 2 };

/* Adds the envelope of a value. If the value arrived in memory of its own, the envelope is written around it, and the
 * memory is taken over. */
static void add_value(struct reading *rd, struct line_queue *to, const char *body, size_t len)
{
    struct buf *line = rd->memory;
    if (!line || body < line->data + OPEN_BYTES) {
        struct buf *block = line_queue_room(to, OPEN_BYTES + len + CLOSE_BYTES);
        buf_add(block, open_value, OPEN_BYTES);
        buf_add(block, body, len);
        buf_add(block, "}\n", CLOSE_BYTES);
        line_queue_added(to, OPEN_BYTES + len + CLOSE_BYTES);
        return;
    }
    size_t from = (size_t)(body - line->data) - OPEN_BYTES;
    memcpy(line->data + from, open_value, OPEN_BYTES);
    line->len = from + OPEN_BYTES + len;
    buf_add(line, "}\n", CLOSE_BYTES);
    line_queue_take(to, line, from);
}

/* ---- answers by their order ---- */

/* Returns where to look for the byte at fault: at the start of the character at which the scan of the value stopped.
 * All bytes before it are valid. */
static size_t fault_offset(const struct window *w, const char *line)
{
    size_t at = w->scan.state == VALUE_SCAN_IDLE ? 0 : w->scan.end;
    while (at > 0 && ((unsigned char)line[at - 1] & 0xC0) == 0x80) at--;
    return at > 0 && (unsigned char)line[at - 1] >= 0xC0 ? at - 1 : at;
}

/* Returns the reason why a line could not be parsed: the encoding, if it is wrong; else `otherwise`. */
static const char *line_fault(const struct window *w, const char *line, size_t len, const char *otherwise)
{
    size_t frame = window_frame_bytes(w);
    if (has_utf8_mark(line + frame, len - frame)) return "the output begins with a byte order mark";
    if (encoding_is_wide(encoding_of(line + frame, len - frame)))
        return "the output is UTF-16 or UTF-32, and not UTF-8";
    for (size_t at = fault_offset(w, line); at < len; at++) {
        at += json_text_length(line + at, len - at);
        if (at < len && (unsigned char)line[at] >= 0x80) return "the output is not valid UTF-8";
        if (at < len && line[at] == 0) return "the output has NUL bytes";
    }
    return otherwise;
}

static bool was_scanned(const struct window *w)
{
    return w->scan.state != VALUE_SCAN_IDLE;
}

static const char *envelope_fault(const struct window *w, const char *line, size_t len)
{
    return line_fault(w, line, len, "the output is not valid JSON of the form {\"value\":...} or {\"error\":{...}}");
}

/* Reads an envelope, whose value may have been scanned while it arrived. */
static struct answer_line parse_envelope(struct window *w, const char *line, size_t len)
{
    struct answer_line a = {.kind = ANSWER_VALUE};
    if (was_scanned(w) && value_scan_finish(&w->scan, line, len, "}", &a.body, &a.body_len)) return a;
    if (len > LIMIT_OTHER_LINE_BYTES && was_scanned(w)) return (struct answer_line){.kind = ANSWER_BAD};
    return answer_line_parse(line, len, true);
}

static const char *read_envelope(struct reading *rd, const char *line, size_t len)
{
    struct answer_line a = parse_envelope(rd->w, line, len);
    if (a.kind != ANSWER_VALUE && a.kind != ANSWER_ERROR) return envelope_fault(rd->w, line, len);
    const char *end = line + len + 1;
    struct line_queue *to = rd->w->form == FORM_CHECKED ? &rd->w->kept : &rd->lines;
    if (rd->memory && a.kind == ANSWER_VALUE)
        add_value(rd, to, a.body, a.body_len);
    else if (rd->w->form == FORM_CHECKED)
        line_queue_add(to, line, len + 1);
    count_answer(rd, a.kind == ANSWER_ERROR, end);
    return NULL;
}

static const char *read_value(struct reading *rd, const char *line, size_t len)
{
    struct window *w = rd->w;
    size_t offset, body_len = len && line[len - 1] == '\r' ? len - 1 : len;
    const char *reason, *body = line, *end = line + len + 1;
    if (w->framed && !was_scanned(w)) value_scan_begin(&w->scan, OPEN_BYTES);
    bool valid = was_scanned(w) ? value_scan_finish(&w->scan, line, len, "", &body, &body_len)
                                : json_valid(line, len, &offset, &reason);
    if (!valid) return line_fault(w, line, len, "the output is not valid JSON");
    add_value(rd, &rd->w->kept, body, body_len);
    count_answer(rd, false, end);
    return NULL;
}

/* ---- answers by their ids ---- */

static void add_bad(struct reading *rd, const char *cause, const char *end)
{
    char line[256];
    int len = snprintf(line, sizeof line, "{\"error\":{\"name\":\"%s\",\"cause\":\"%s\"}}\n",
                       item_error_name(ITEM_BAD_OUTPUT), cause);
    line_queue_add(&rd->lines, line, (size_t)len);
    count_answer(rd, true, end);
}

static void add_answer(struct reading *rd, const struct numbered_line *a, const char *end)
{
    if (a->kind == NUMBERED_BAD) {
        add_bad(rd, "the output is not valid JSON, or does not have exactly one of value and error", end);
        return;
    }
    if (a->kind == NUMBERED_VALUE) {
        add_value(rd, &rd->lines, a->body, a->body_len);
    } else {
        struct buf *block = line_queue_room(&rd->lines, OPEN_BYTES + a->body_len + CLOSE_BYTES);
        size_t before = block->len;
        buf_add_str(block, "{\"error\":");
        buf_add(block, a->body, a->body_len);
        buf_add(block, "}\n", CLOSE_BYTES);
        line_queue_added(&rd->lines, block->len - before);
    }
    count_answer(rd, a->kind == NUMBERED_ERROR, end);
}

/* Reads a line with an id, whose value may have been scanned while it arrived. */
static struct numbered_line parse_numbered(struct window *w, const char *line, size_t len)
{
    struct numbered_line a = {.kind = NUMBERED_VALUE, .id = w->scan_id};
    if (!was_scanned(w)) return numbered_parse(line, len);
    if (value_scan_finish(&w->scan, line, len, "}", &a.body, &a.body_len)) return a;
    if (len <= LIMIT_OTHER_LINE_BYTES) return numbered_parse(line, len);
    a.kind = NUMBERED_BAD;
    return a;
}

static void read_numbered(struct reading *rd, const char *line, size_t len)
{
    struct window *w = rd->w;
    struct numbered_line a = parse_numbered(w, line, len);
    const char *end = line + len + 1;
    uint64_t next = w->answered + rd->n + 1;
    if (a.kind == NUMBERED_STRAY || a.id < next || a.id > w->given) {
        buf_add(&w->strays, line, len + 1);
        return;
    }
    for (; next < a.id; next++) add_bad(rd, "the process answered the next item and not this item", end);
    add_answer(rd, &a, end);
}

/* ---- lines ---- */

/* Begins to scan the value of a long line, if the line has one. */
static void begin_scan(struct window *w, const char *line, size_t len)
{
    size_t at = w->form == FORM_CHECKED_VALUE ? window_frame_bytes(w) : OPEN_BYTES;
    bool found = w->form == FORM_CHECKED_VALUE;
    if (w->form == FORM_NUMBERED)
        found = numbered_find_value(line, len, &w->scan_id, &at);
    else if (!found)
        found = len > OPEN_BYTES && memcmp(line, open_value, OPEN_BYTES) == 0;
    if (found) value_scan_begin(&w->scan, at);
}

size_t window_frame(struct window *w, struct buf *line)
{
    if (w->framed || w->form != FORM_CHECKED_VALUE) return 0;
    if (!buf_reserve(line, OPEN_BYTES)) BUG("a line without a cap refused %d bytes", OPEN_BYTES);
    if (line->len) memmove(line->data + OPEN_BYTES, line->data, line->len);
    memcpy(line->data, open_value, OPEN_BYTES);
    line->len += OPEN_BYTES;
    w->seen += OPEN_BYTES;
    w->framed = true;
    return OPEN_BYTES;
}

size_t window_frame_bytes(const struct window *w)
{
    return w->framed ? OPEN_BYTES : 0;
}

const char *window_look(struct window *w, const char *line, size_t len)
{
    w->seen = len;
    if (!was_scanned(w)) begin_scan(w, line, len);
    value_scan_feed(&w->scan, line, len);
    if (w->form == FORM_NUMBERED) return NULL;
    if (w->scan.state == VALUE_SCAN_BAD && w->form == FORM_CHECKED_VALUE)
        return line_fault(w, line, len, "the output is not valid JSON");
    if (w->scan.state == VALUE_SCAN_BAD) return envelope_fault(w, line, len);
    if (was_scanned(w) || len <= LIMIT_OTHER_LINE_BYTES) return NULL;
    return line_fault(w, line, len, "the answer has no value, and is larger than 1 MiB");
}

static const char *read_line(struct reading *rd, const char *line, size_t len)
{
    switch (rd->w->form) {
    case FORM_TRUSTED:
    case FORM_CHECKED: return read_envelope(rd, line, len);
    case FORM_CHECKED_VALUE: return read_value(rd, line, len);
    case FORM_NUMBERED: read_numbered(rd, line, len); return NULL;
    }
    BUG("no such form");
}

static bool is_flushed_line(const struct window *w, const char *line, size_t len)
{
    static const char flushed[] = "#flushed";
    return w->form == FORM_TRUSTED && len == sizeof flushed - 1 && memcmp(line, flushed, len) == 0;
}

/* The time in which the process waited for a processor is not work. If this time counted as work, items would seem long
 * on a crowded machine, so chunks would be small, and small chunks crowd the machine even more. */
static uint64_t work_ns(const struct window *w, uint64_t passed_ns)
{
    uint64_t least = w->ran_ns < passed_ns ? w->ran_ns : passed_ns;
    return passed_ns > w->waited_ns + least ? passed_ns - w->waited_ns : least;
}

/* Each item that the process works on has a slot of its own. */
static uint64_t busy_slots(const struct window *w)
{
    return w->items < w->together ? w->items : w->together;
}

static struct intake read_lines(struct window *w, const char *data, size_t len, struct buf *memory, uint64_t now,
                                void (*progress)(struct chunk *c))
{
    struct intake in = {0};
    struct reading rd = {.w = w, .progress = progress, .memory = memory, .batch = data};
    if (w->head && now > w->head_since_ns) rd.slot_ns = work_ns(w, now - w->head_since_ns) * busy_slots(w);
    /* The bytes at these pointers are not read after the memory has been taken over. */
    const char *at = data, *end = data + len;
    while (at + w->seen < end) {
        const char *newline = memchr(at + w->seen, '\n', (size_t)(end - at) - w->seen);
        if (!newline) break;
        w->seen = 0;
        if (is_flushed_line(w, at, (size_t)(newline - at))) {
            settle(&rd, at);
            w->flushed = w->head;
            rd.batch = at = newline + 1;
            continue;
        }
        in.surplus = w->form != FORM_NUMBERED && (!w->head || w->unconfirmed);
        in.fault =
            in.surplus ? "the process wrote more lines than it had items" : read_line(&rd, at, (size_t)(newline - at));
        w->scan.state = VALUE_SCAN_IDLE;
        if (!in.fault) w->framed = false;
        if (in.fault) break;
        at = newline + 1;
    }
    settle(&rd, at);
    in.answers = rd.answers;
    in.used = (size_t)(at - data);
    w->seen = in.fault ? 0 : (size_t)(end - at);
    if (in.answers) window_learn(w, in.answers, in.used, now);
    line_queue_release(&rd.lines);
    return in;
}

struct intake window_intake(struct window *w, const char *data, size_t len, uint64_t now,
                            void (*progress)(struct chunk *c))
{
    return read_lines(w, data, len, NULL, now, progress);
}

struct intake window_intake_buf(struct window *w, struct buf *line, uint64_t now, void (*progress)(struct chunk *c))
{
    return read_lines(w, line->data, line->len, line, now, progress);
}
