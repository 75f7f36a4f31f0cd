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

static const char *read_envelope(struct reading *rd, const char *line, size_t len)
{
    struct answer_line a = answer_line_parse(line, len, true);
    if (a.kind != ANSWER_VALUE && a.kind != ANSWER_ERROR)
        return line_fault(line, len, "its output is not valid JSON of the form {\"value\":...} or {\"error\":{...}}");
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
    if (!json_valid(line, len, &offset, &reason)) return line_fault(line, len, "its output is not valid JSON");
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
        add_bad(rd, "its output is not valid JSON, or has not exactly one of value and error", end);
        return;
    }
    buf_add_str(&rd->lines, a->kind == NUMBERED_VALUE ? "{\"value\":" : "{\"error\":");
    buf_add(&rd->lines, a->body, a->body_len);
    buf_add(&rd->lines, "}\n", 2);
    count_answer(rd, a->kind == NUMBERED_ERROR, end);
}

static void read_numbered(struct reading *rd, const char *line, size_t len)
{
    struct window *w = rd->w;
    struct numbered_line a = numbered_parse(line, len);
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
