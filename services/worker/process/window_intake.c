/* The reading part of window.h: turns the lines of a process into answers of its runs. window_ids.c reads answers with
 * ids. */
#include "worker/process/window_internal.h"

#include "common/json/encoding.h"
#include "common/json/json_scan.h"
#include "worker/process/numbered.h"

/* Call it when the first `done` items of the first run have been answered. If all items of the run have been answered,
 * removes the run and returns true. */
static bool pop_answered(struct window *w, struct run *r, uint64_t done)
{
    if (done < r->count) return false;
    window_unlink(w, r);
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
    /* The time since the last answers is charged to the first run that is answered now. */
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

void window_count_answer(struct reading *rd, bool failed, const char *end)
{
    struct window *w = rd->w;
    rd->n++;
    rd->failed += failed;
    uint64_t before = window_is_checked(w) ? w->kept_items : w->head->answered;
    if (before + rd->n == w->head->count) settle(rd, end);
}

void window_add_value(struct reading *rd, struct line_queue *to, const char *body, size_t len)
{
    struct buf *line = rd->memory;
    if (!line || body < line->data + WINDOW_OPEN_BYTES) {
        struct buf *block = line_queue_room(to, WINDOW_OPEN_BYTES + len + WINDOW_CLOSE_BYTES);
        buf_add(block, WINDOW_OPEN, WINDOW_OPEN_BYTES);
        buf_add(block, body, len);
        buf_add(block, WINDOW_CLOSE, WINDOW_CLOSE_BYTES);
        line_queue_added(to, WINDOW_OPEN_BYTES + len + WINDOW_CLOSE_BYTES);
        return;
    }
    size_t from = (size_t)(body - line->data) - WINDOW_OPEN_BYTES;
    memcpy(line->data + from, WINDOW_OPEN, WINDOW_OPEN_BYTES);
    line->len = from + WINDOW_OPEN_BYTES + len;
    buf_add(line, WINDOW_CLOSE, WINDOW_CLOSE_BYTES);
    line_queue_take(to, line, from);
}

/* ---- answers by their order ---- */

/* Returns where to look for the invalid byte: at the start of the character at which the scan of the value stopped. All
 * bytes before this character are valid. */
static size_t fault_offset(const struct window *w, const char *line)
{
    size_t at = w->scan.state == VALUE_SCAN_IDLE ? 0 : w->scan.end;
    while (at > 0 && ((unsigned char)line[at - 1] & 0xC0) == 0x80) at--;
    return at > 0 && (unsigned char)line[at - 1] >= 0xC0 ? at - 1 : at;
}

const char *window_line_fault(const struct window *w, const char *line, size_t len, const char *otherwise)
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

static const char *envelope_fault(const struct window *w, const char *line, size_t len)
{
    return window_line_fault(w, line, len,
                             "the output is not valid JSON of the form {\"value\":...} or {\"error\":{...}}");
}

/* Reads an envelope. The value in the envelope may have been scanned while the line arrived. */
static struct answer_line parse_envelope(struct window *w, const char *line, size_t len)
{
    struct answer_line a = {.kind = ANSWER_VALUE};
    if (window_was_scanned(w) && value_scan_finish(&w->scan, line, len, "}", &a.body, &a.body_len)) return a;
    if (len > LIMIT_OTHER_LINE_BYTES && window_was_scanned(w)) return (struct answer_line){.kind = ANSWER_BAD};
    return answer_line_parse(line, len, true);
}

static const char *read_envelope(struct reading *rd, const char *line, size_t len)
{
    struct answer_line a = parse_envelope(rd->w, line, len);
    if (a.kind != ANSWER_VALUE && a.kind != ANSWER_ERROR) return envelope_fault(rd->w, line, len);
    const char *end = line + len + 1;
    struct line_queue *to = rd->w->form == FORM_CHECKED ? &rd->w->kept : &rd->lines;
    if (rd->memory && a.kind == ANSWER_VALUE)
        window_add_value(rd, to, a.body, a.body_len);
    else if (rd->w->form == FORM_CHECKED)
        line_queue_add(to, line, len + 1);
    window_count_answer(rd, a.kind == ANSWER_ERROR, end);
    return NULL;
}

static const char *read_value(struct reading *rd, const char *line, size_t len)
{
    struct window *w = rd->w;
    size_t offset, body_len = len && line[len - 1] == '\r' ? len - 1 : len;
    const char *reason, *body = line, *end = line + len + 1;
    if (w->framed && !window_was_scanned(w)) value_scan_begin(&w->scan, WINDOW_OPEN_BYTES);
    bool valid = window_was_scanned(w) ? value_scan_finish(&w->scan, line, len, "", &body, &body_len)
                                       : json_valid(line, len, &offset, &reason);
    if (!valid) return window_line_fault(w, line, len, "the output is not valid JSON");
    window_add_value(rd, &rd->w->kept, body, body_len);
    window_count_answer(rd, false, end);
    return NULL;
}

/* ---- lines ---- */

/* Begins to scan the value of a long line, if the line has a value. */
static void begin_scan(struct window *w, const char *line, size_t len)
{
    size_t at = w->form == FORM_CHECKED_VALUE ? window_frame_bytes(w) : WINDOW_OPEN_BYTES;
    bool found = w->form == FORM_CHECKED_VALUE;
    if (window_has_ids(w))
        found = numbered_find_value(line, len, &w->scan_id, &at);
    else if (!found)
        found = len > WINDOW_OPEN_BYTES && memcmp(line, WINDOW_OPEN, WINDOW_OPEN_BYTES) == 0;
    if (found) value_scan_begin(&w->scan, at);
}

size_t window_frame(struct window *w, struct buf *line)
{
    if (w->framed || w->form != FORM_CHECKED_VALUE) return 0;
    if (!buf_reserve(line, WINDOW_OPEN_BYTES)) BUG("a line without a cap refused %d bytes", WINDOW_OPEN_BYTES);
    if (line->len) memmove(line->data + WINDOW_OPEN_BYTES, line->data, line->len);
    memcpy(line->data, WINDOW_OPEN, WINDOW_OPEN_BYTES);
    line->len += WINDOW_OPEN_BYTES;
    w->seen += WINDOW_OPEN_BYTES;
    w->framed = true;
    return WINDOW_OPEN_BYTES;
}

size_t window_frame_bytes(const struct window *w)
{
    return w->framed ? WINDOW_OPEN_BYTES : 0;
}

const char *window_look(struct window *w, const char *line, size_t len)
{
    w->seen = len;
    if (!window_was_scanned(w)) begin_scan(w, line, len);
    value_scan_feed(&w->scan, line, len);
    if (window_has_ids(w)) return NULL;
    if (w->scan.state == VALUE_SCAN_BAD && w->form == FORM_CHECKED_VALUE)
        return window_line_fault(w, line, len, "the output is not valid JSON");
    if (w->scan.state == VALUE_SCAN_BAD) return envelope_fault(w, line, len);
    if (window_was_scanned(w) || len <= LIMIT_OTHER_LINE_BYTES) return NULL;
    return window_line_fault(w, line, len, "the answer has no value, and is larger than 1 MiB");
}

static const char *read_line(struct reading *rd, const char *line, size_t len)
{
    switch (rd->w->form) {
    case FORM_TRUSTED:
    case FORM_CHECKED: return read_envelope(rd, line, len);
    case FORM_CHECKED_VALUE: return read_value(rd, line, len);
    case FORM_NUMBERED: window_read_numbered(rd, line, len); return NULL;
    case FORM_ANY_ORDER: window_read_any_order(rd, line, len); return NULL;
    }
    BUG("no such form");
}

static bool is_flushed_line(const struct window *w, const char *line, size_t len)
{
    static const char flushed[] = "#flushed";
    return w->form == FORM_TRUSTED && len == sizeof flushed - 1 && memcmp(line, flushed, len) == 0;
}

/* Time that the process spent waiting for a processor is not work. If this time counted as work, items would seem long
 * on a crowded machine, so chunks would be made smaller. Small chunks would crowd the machine even more. */
static uint64_t work_ns(const struct window *w, uint64_t passed_ns)
{
    uint64_t least = w->ran_ns < passed_ns ? w->ran_ns : passed_ns;
    return passed_ns > w->waited_ns + least ? passed_ns - w->waited_ns : least;
}

/* Returns how many items the process works on at the same time. Each of them has a slot of its own. */
static uint64_t busy_slots(const struct window *w)
{
    return w->items < w->together ? w->items : w->together;
}

static struct intake read_lines(struct window *w, const char *data, size_t len, struct buf *memory, uint64_t now,
                                void (*progress)(struct chunk *c))
{
    struct intake in = {0};
    struct reading rd = {.w = w, .progress = progress, .now = now, .memory = memory, .batch = data};
    if (w->head && now > w->head_since_ns) rd.slot_ns = work_ns(w, now - w->head_since_ns) * busy_slots(w);
    /* After a queue has taken ownership of the memory, the bytes between `at` and `end` are no longer read. */
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
        in.surplus = !window_has_ids(w) && (!w->head || w->unconfirmed);
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
    if (in.answers && w->form != FORM_ANY_ORDER) window_learn(w, in.answers, in.used, now);
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
