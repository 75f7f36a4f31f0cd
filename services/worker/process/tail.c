#include "worker/process/tail.h"

#include "common/observe/log.h"

static bool may_log(struct tail *t, uint64_t now)
{
    if (!t->started) {
        t->started = true;
        t->tokens = TAIL_LINES_BURST;
        t->refilled_ns = now;
    }
    t->tokens += (double)(now - t->refilled_ns) / (double)NS_PER_S * TAIL_LINES_PER_S;
    if (t->tokens > TAIL_LINES_BURST) t->tokens = TAIL_LINES_BURST;
    t->refilled_ns = now;
    if (t->tokens < 1) {
        t->suppressed++;
        return false;
    }
    t->tokens -= 1;
    return true;
}

static void log_suppressed(struct tail *t, const struct tail_origin *from)
{
    if (t->suppressed)
        log_warn("stderr lines were dropped: there were too many", LOG_STR("task", from->task),
                 LOG_I64("pid", from->pid), LOG_U64("lines", t->suppressed));
    t->suppressed = 0;
}

static void log_line(struct tail *t, const struct tail_origin *from, uint64_t now)
{
    if (from->form != TAIL_LOG) {
        log_plain(from->form == TAIL_BARE ? NULL : from->task, t->line.data, t->line.len);
    } else if (t->line.len && may_log(t, now)) {
        log_suppressed(t, from);
        log_info("stderr", LOG_STR("task", from->task), LOG_I64("pid", from->pid), LOG_STR("job", from->job),
                 LOG_STR("chunk", from->chunk),
                 from->attempt ? LOG_U64("attempt", from->attempt) : LOG_STR("attempt", NULL),
                 LOG_STR("trace_id", from->trace_id),
                 from->has_item ? LOG_U64("index", from->index) : LOG_STR("index", NULL),
                 LOG_STRN("line", t->line.data, t->line.len));
    }
    buf_clear(&t->line);
}

static void log_lines(struct tail *t, const char *data, size_t len, const struct tail_origin *from, uint64_t now)
{
    const char *end = data + len;
    size_t most = from->form == TAIL_LOG ? TAIL_LINE_BYTES : TAIL_SHOWN_BYTES;
    while (data < end) {
        const char *newline = memchr(data, '\n', (size_t)(end - data));
        size_t n = (size_t)((newline ? newline : end) - data), room = most - t->line.len;
        size_t take = n < room ? n : room;
        buf_add(&t->line, data, take);
        if (take < n && from->form != TAIL_LOG) {
            log_line(t, from, now);
            data += take;
            continue;
        }
        if (!newline) return;
        log_line(t, from, now);
        data = newline + 1;
    }
}

/* ---- the output of a start ---- */

static bool begins_with(const struct buf *text, const struct buf *beginning)
{
    return beginning->len <= text->len && (!beginning->len || memcmp(text->data, beginning->data, beginning->len) == 0);
}

static void log_held(struct tail *t, const struct tail_origin *from, uint64_t now)
{
    if (!t->is_new) log_lines(t, t->printed.data, t->printed.len, from, now);
    t->is_new = true;
}

/* Like log_lines(), while the process starts. */
static void log_new_lines(struct tail *t, const char *data, size_t len, const struct tail_origin *from, uint64_t now)
{
    if (!buf_add(&t->printed, data, len)) {
        tail_start_end(t, true, from, now);
        log_lines(t, data, len, from, now);
        return;
    }
    if (!t->is_new && begins_with(t->starts, &t->printed)) return;
    bool replaces = !t->is_new || begins_with(&t->printed, t->starts);
    if (t->is_new)
        log_lines(t, data, len, from, now);
    else
        log_held(t, from, now);
    if (!replaces) return;
    buf_clear(t->starts);
    buf_add(t->starts, t->printed.data, t->printed.len);
}

void tail_init(struct tail *t, size_t kept_bytes)
{
    *t = (struct tail){0};
    byte_tail_init(&t->kept, kept_bytes);
}

void tail_start(struct tail *t, struct buf *starts)
{
    t->starts = starts;
    t->printed.cap = TAIL_START_BYTES;
}

void tail_start_end(struct tail *t, bool ready, const struct tail_origin *from, uint64_t now)
{
    if (!t->starts) return;
    if (ready) {
        log_held(t, from, now);
        buf_clear(t->starts); /* so that the output of a later failed start is shown */
    }
    t->starts = NULL;
    buf_release(&t->printed);
}

void tail_add(struct tail *t, const char *data, size_t len, const struct tail_origin *from, uint64_t now)
{
    byte_tail_add(&t->kept, data, len);
    (t->starts ? log_new_lines : log_lines)(t, data, len, from, now);
}

void tail_pause(struct tail *t, const struct tail_origin *from, uint64_t now)
{
    if (t->line.len && from->form != TAIL_LOG) log_line(t, from, now);
}

void tail_add_line(struct tail *t, const char *line, size_t len, const struct tail_origin *from, uint64_t now)
{
    struct buf unfinished = t->line;
    t->line = (struct buf){0};
    byte_tail_add(&t->kept, line, len);
    log_lines(t, line, len, from, now);
    buf_release(&t->line);
    t->line = unfinished;
}

void tail_end(struct tail *t, const struct tail_origin *from, uint64_t now)
{
    if (t->line.len) log_line(t, from, now);
    log_suppressed(t, from);
}

void tail_release(struct tail *t)
{
    byte_tail_release(&t->kept);
    buf_release(&t->line);
    buf_release(&t->printed);
}

void tail_restart(struct tail *t)
{
    byte_tail_clear(&t->kept);
}
