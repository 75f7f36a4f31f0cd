/* Reads the answers of processes whose items have ids: in the order of the items, or in any order. */
#include "worker/process/window_internal.h"

#include "worker/process/numbered.h"

static void add_bad(struct reading *rd, const char *cause)
{
    char line[256];
    int len = snprintf(line, sizeof line, "{\"error\":{\"name\":\"%s\",\"cause\":\"%s\"}}\n",
                       item_error_name(ITEM_BAD_OUTPUT), cause);
    line_queue_add(&rd->lines, line, (size_t)len);
}

/* Adds the answer line to rd->lines. Returns whether the answer is an error. `line` is what the process has written. */
static bool add_answer(struct reading *rd, const struct numbered_line *a, const char *line, size_t len)
{
    if (a->kind == NUMBERED_VALUE) {
        window_add_value(rd, &rd->lines, a->body, a->body_len);
        return false;
    }
    if (a->kind == NUMBERED_BAD) {
        add_bad(rd, window_line_fault(rd->w, line, len,
                                      "the output is not valid JSON, or does not have exactly one of value and error"));
        return true;
    }
    struct buf *block = line_queue_room(&rd->lines, WINDOW_OPEN_BYTES + a->body_len + WINDOW_CLOSE_BYTES);
    size_t before = block->len;
    buf_add_str(block, "{\"error\":");
    buf_add(block, a->body, a->body_len);
    buf_add(block, WINDOW_CLOSE, WINDOW_CLOSE_BYTES);
    line_queue_added(&rd->lines, block->len - before);
    return true;
}

/* Reads a line with an id. The value in the line may have been scanned while the line arrived. */
static struct numbered_line parse_numbered(struct window *w, const char *line, size_t len)
{
    struct numbered_line a = {.kind = NUMBERED_VALUE, .id = w->scan_id};
    if (!window_was_scanned(w)) return numbered_parse(line, len);
    if (value_scan_finish(&w->scan, line, len, "}", &a.body, &a.body_len)) return a;
    if (len <= LIMIT_OTHER_LINE_BYTES) return numbered_parse(line, len);
    a.kind = NUMBERED_BAD;
    return a;
}

void window_read_numbered(struct reading *rd, const char *line, size_t len)
{
    struct window *w = rd->w;
    struct numbered_line a = parse_numbered(w, line, len);
    const char *end = line + len + 1;
    uint64_t next = w->answered + rd->n + 1;
    if (a.kind == NUMBERED_STRAY || a.id < next || a.id > w->given) {
        buf_add(&w->strays, line, len + 1);
        return;
    }
    for (; next < a.id; next++) {
        add_bad(rd, "the process answered the next item and not this item");
        window_count_answer(rd, true, end);
    }
    window_count_answer(rd, add_answer(rd, &a, line, len), end);
}

/* ---- in any order ---- */

/* Passes the answer in rd->lines to the chunk of its run. */
static void settle_one(struct reading *rd, struct run *r, bool failed)
{
    struct window *w = rd->w;
    struct chunk *c = chunk_ref(r->chunk);
    chunk_add_cost(c, 1, rd->now > r->since_ns ? rd->now - r->since_ns : 0);
    window_unlink(w, r);
    w->items--;
    w->answered++;
    w->heard_ns = rd->now;
    rd->answers++;
    *(failed ? &c->failed : &c->succeeded) += 1;
    run_take_answers(r, &rd->lines, 1);
    rd->progress(c);
    chunk_unref(c);
}

/* Returns the position after the id if the line begins with the word and an id; else NULL. */
static const char *read_control(const char *line, size_t len, const char *word, uint64_t *id)
{
    size_t word_len = strlen(word);
    if (len <= word_len || memcmp(line, word, word_len) != 0) return NULL;
    const char *end = line + len, *at = numbered_read_id(line + word_len, end, id);
    return at && (at == end || *at == ' ') ? at : NULL;
}

/* Reads the line "#blocked ID". Returns false if the line is anything else. */
static bool read_blocked(struct window *w, const char *line, size_t len)
{
    uint64_t id;
    if (read_control(line, len, "#blocked ", &id) != line + len) return false;
    w->blocked_id = id;
    return true;
}

/* Reads the line "#log ID TEXT", which is output of an item. Returns false if the line is anything else. */
static bool read_log(struct window *w, const char *line, size_t len)
{
    uint64_t id;
    const char *at = read_control(line, len, "#log ", &id), *end = line + len;
    if (!at) return false;
    at += at < end;
    const struct run *r = window_find(w, id);
    if (r && w->log)
        w->log(w, r, at, (size_t)(end + 1 - at));
    else
        buf_add(&w->strays, at, (size_t)(end + 1 - at));
    return true;
}

void window_read_any_order(struct reading *rd, const char *line, size_t len)
{
    struct window *w = rd->w;
    if (read_log(w, line, len) || read_blocked(w, line, len)) return;
    struct numbered_line a = parse_numbered(w, line, len);
    struct run *r = a.kind == NUMBERED_STRAY ? NULL : window_find(w, a.id);
    if (!r) {
        buf_add(&w->strays, line, len + 1);
    } else if (r->verdict) {
        line_queue_add(&rd->lines, r->verdict, strlen(r->verdict));
        settle_one(rd, r, true);
    } else {
        settle_one(rd, r, add_answer(rd, &a, line, len));
    }
}
