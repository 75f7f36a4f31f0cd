#include "coordinator/answers/error_log.h"

void error_log_init(struct error_log *l, struct spill_dir *dir, size_t memory_cap)
{
    *l = (struct error_log){0};
    byte_log_init(&l->log, dir, memory_cap);
}

void error_log_release(struct error_log *l)
{
    byte_log_release(&l->log);
    buf_release(&l->last_line);
    buf_release(&l->line);
}

static bool is_alike(const struct error_log *l, uint64_t first, const char *line, size_t len)
{
    return l->last.n > 0 && first == l->last.first + l->last.n && len == l->last.len &&
           memcmp(line, l->last_line.data, len) == 0;
}

static bool append_last(struct error_log *l)
{
    if (l->last.n == 0) return true;
    return byte_log_append(&l->log, &l->last, sizeof l->last) &&
           byte_log_append(&l->log, l->last_line.data, l->last_line.len);
}

bool error_log_add(struct error_log *l, uint64_t first, uint64_t n, const char *line, size_t len)
{
    if (is_alike(l, first, line, len)) {
        l->last.n += n;
        return true;
    }
    if (!append_last(l)) return false;
    l->last = (struct error_record){first, n, len};
    buf_clear(&l->last_line);
    return buf_add(&l->last_line, line, len);
}

/* Reading returns the records in the log first, and then `last`. */

static bool read_record(struct error_log *l)
{
    struct error_record *r = &l->record;
    if (l->in_record) return true;
    if (byte_log_read(&l->log, l->read_at, r, sizeof *r) != (ssize_t)sizeof *r) return false;
    buf_clear(&l->line);
    if (!buf_reserve(&l->line, r->len)) BUG("a buffer without a cap refused");
    if (byte_log_read(&l->log, l->read_at + sizeof *r, l->line.data, r->len) != (ssize_t)r->len) return false;
    l->line.len = r->len;
    return l->in_record = true;
}

static struct answer_run run_of(const struct error_record *r, const struct buf *line)
{
    return (struct answer_run){
        .first = r->first, .n = (size_t)r->n, .bytes = line->data, .len = line->len, .repeated = r->n > 1};
}

static bool peek(void *source, struct answer_run *run, bool *failed)
{
    struct error_log *l = source;
    if (l->read_at == byte_log_length(&l->log)) {
        *run = run_of(&l->last, &l->last_line);
        return l->last.n > 0;
    }
    if (!read_record(l)) {
        *failed = true;
        return false;
    }
    *run = run_of(&l->record, &l->line);
    return true;
}

static void shorten(struct error_record *r, size_t n)
{
    if (n > r->n) BUG("consumed more than was shown");
    r->first += n;
    r->n -= n;
}

static void consume(void *source, size_t n, size_t len)
{
    struct error_log *l = source;
    if (!l->in_record) {
        shorten(&l->last, n);
        return;
    }
    shorten(&l->record, n);
    if (l->record.n > 0) return;
    l->in_record = false;
    l->read_at += sizeof l->record + l->record.len;
    if (l->read_at < byte_log_length(&l->log)) return;
    byte_log_clear(&l->log);
    l->read_at = 0;
}

static uint64_t unread_bytes(const void *source)
{
    const struct error_log *l = source;
    return byte_log_length(&l->log) - l->read_at + (l->last.n > 0 ? sizeof l->last + l->last_line.len : 0);
}

struct answer_source error_log_source(struct error_log *l)
{
    static const struct answer_source_ops ops = {peek, consume, unread_bytes};
    return (struct answer_source){&ops, l};
}
