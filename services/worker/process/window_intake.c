/* The reading part of window.h: turns the lines of a process into answers of its runs. */
#include "worker/process/window_internal.h"

#include "common/json/encoding.h"
#include "common/json/json_scan.h"
#include "worker/process/numbered.h"

/* The state of one call of window_intake(). */
struct reading {
    struct window *w;
    void (*progress)(struct chunk *c);
    struct buf *memory; /* the buffer of the lines, whose memory may be taken over; NULL: none */
    const char *batch;  /* FORM_TRUSTED: the first line that is not settled */
    struct buf lines;   /* FORM_NUMBERED: the answers that are not settled */
    uint64_t n, failed; /* how many answers are not settled, and how many of them are errors */
    uint64_t answers;   /* how many are settled */
    uint64_t slot_ns;   /* the part of the time since the last answers that no chunk has been charged with */
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

/* Passes the answers that were read to the chunk of the first run, or adds them to the kept answers. They all belong to
 * the first run. `end` is the end of the last line. */
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
    w->items -= n;
    w->answered += n;
    if (window_is_checked(w)) {
        w->kept_items += n;
        w->kept_failed += failed;
        if (pop_answered(w, r, w->kept_items)) w->unconfirmed = r;
        return;
    }
    struct buf *memory = rd->memory;
    if (w->form == FORM_NUMBERED) {
        memory = &rd->lines;
        lines = rd->lines.data;
        len = rd->lines.len;
    }
    struct chunk *c = chunk_ref(r->chunk);
    c->failed += failed;
    c->succeeded += n - failed;
    pop_answered(w, r, r->answered + n);
    if (memory && memory->len == len)
        run_take_answers(r, memory, n);
    else
        run_answer(r, lines, len, n);
    buf_clear(&rd->lines);
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

/* ---- answers by their order ---- */

/* Returns why a line that could not be read is wrong. If the encoding is wrong, that is the reason. Else the reason is
 * `otherwise`. */
static const char *line_fault(const char *line, size_t len, const char *otherwise)
{
    if (has_utf8_mark(line, len)) return "its output begins with a byte order mark";
    if (encoding_is_wide(encoding_of(line, len))) return "its output is UTF-16 or UTF-32, and not UTF-8";
    for (size_t at = 0; at < len; at++) {
        at += json_text_length(line + at, len - at);
        if (at < len && (unsigned char)line[at] >= 0x80) return "its output is not valid UTF-8";
        if (at < len && line[at] == 0) return "its output has NUL bytes";
    }
    return otherwise;
}

static bool was_scanned(const struct window *w)
{
    return w->scan.state != VALUE_SCAN_IDLE;
}

static const char *envelope_fault(const char *line, size_t len)
{
    return line_fault(line, len, "its output is not valid JSON of the form {\"value\":...} or {\"error\":{...}}");
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
    if (a.kind != ANSWER_VALUE && a.kind != ANSWER_ERROR) return envelope_fault(line, len);
    if (rd->w->form == FORM_CHECKED) buf_add(&rd->w->kept, line, len + 1);
    count_answer(rd, a.kind == ANSWER_ERROR, line + len + 1);
    return NULL;
}

static const char *read_value(struct reading *rd, const char *line, size_t len)
{
    static const char open[] = "{\"value\":";
    struct buf *kept = &rd->w->kept;
    size_t offset;
    const char *reason;
    const char *body;
    size_t body_len;
    bool valid = was_scanned(rd->w) ? value_scan_finish(&rd->w->scan, line, len, "", &body, &body_len)
                                    : json_valid(line, len, &offset, &reason);
    if (!valid) return line_fault(line, len, "its output is not valid JSON");
    buf_add(kept, open, sizeof open - 1);
    buf_add(kept, line, len && line[len - 1] == '\r' ? len - 1 : len);
    buf_add(kept, "}\n", 2);
    count_answer(rd, false, line + len + 1);
    return NULL;
}

/* ---- answers by their ids ---- */

static void add_bad(struct reading *rd, const char *cause, const char *end)
{
    buf_addf(&rd->lines, "{\"error\":{\"name\":\"%s\",\"cause\":\"%s\"}}\n", item_error_name(ITEM_BAD_OUTPUT), cause);
    count_answer(rd, true, end);
}

static void add_answer(struct reading *rd, const struct numbered_line *a, const char *end)
{
    if (a->kind == NUMBERED_BAD) {
        add_bad(rd, "its output is not valid JSON, or does not have exactly one of value and error", end);
        return;
    }
    buf_add_str(&rd->lines, a->kind == NUMBERED_VALUE ? "{\"value\":" : "{\"error\":");
    buf_add(&rd->lines, a->body, a->body_len);
    buf_add(&rd->lines, "}\n", 2);
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
    for (; next < a.id; next++) add_bad(rd, "its process answered the next item and not this one", end);
    add_answer(rd, &a, end);
}

/* ---- lines ---- */

/* Begins to scan the value of a long line, if the line has one. */
static void begin_scan(struct window *w, const char *line, size_t len)
{
    static const char open[] = "{\"value\":";
    size_t at = 0;
    bool found = w->form == FORM_CHECKED_VALUE;
    if (w->form == FORM_NUMBERED) {
        found = numbered_find_value(line, len, &w->scan_id, &at);
    } else if (!found && len > sizeof open && memcmp(line, open, sizeof open - 1) == 0) {
        at = sizeof open - 1;
        found = true;
    }
    if (found) value_scan_begin(&w->scan, at);
}

const char *window_look(struct window *w, const char *line, size_t len)
{
    w->seen = len;
    if (!was_scanned(w)) begin_scan(w, line, len);
    value_scan_feed(&w->scan, line, len);
    if (w->form == FORM_NUMBERED) return NULL;
    if (w->scan.state == VALUE_SCAN_BAD && w->form == FORM_CHECKED_VALUE)
        return line_fault(line, len, "its output is not valid JSON");
    if (w->scan.state == VALUE_SCAN_BAD) return envelope_fault(line, len);
    if (was_scanned(w) || len <= LIMIT_OTHER_LINE_BYTES) return NULL;
    return line_fault(line, len, "its answer has no value, and is larger than 1 MiB");
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

static struct intake read_lines(struct window *w, const char *data, size_t len, struct buf *memory, uint64_t now,
                                void (*progress)(struct chunk *c))
{
    struct intake in = {0};
    struct reading rd = {.w = w, .progress = progress, .memory = memory, .batch = data};
    if (w->head && now > w->head_since_ns) rd.slot_ns = now - w->head_since_ns;
    const char *at = data, *end = data + len;
    while (at + w->seen < end) {
        const char *newline = memchr(at + w->seen, '\n', (size_t)(end - at) - w->seen);
        if (!newline) break;
        w->seen = 0;
        in.surplus = w->form != FORM_NUMBERED && (!w->head || w->unconfirmed);
        in.fault = in.surplus ? "it wrote more lines than it had items" : read_line(&rd, at, (size_t)(newline - at));
        w->scan.state = VALUE_SCAN_IDLE;
        if (in.fault) break;
        at = newline + 1;
    }
    settle(&rd, at);
    in.answers = rd.answers;
    in.used = (size_t)(at - data);
    w->seen = in.fault ? 0 : (size_t)(end - at);
    if (in.answers) window_learn(w, in.answers, in.used, now);
    buf_release(&rd.lines);
    return in;
}

struct intake window_intake(struct window *w, const char *data, size_t len, uint64_t now,
                            void (*progress)(struct chunk *c))
{
    return read_lines(w, data, len, NULL, now, progress);
}

struct intake window_intake_buf(struct window *w, struct buf *lines, uint64_t now, void (*progress)(struct chunk *c))
{
    return read_lines(w, lines->data, lines->len, lines, now, progress);
}
