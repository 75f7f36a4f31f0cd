#include "coordinator/durable/recorder.h"

#include "common/base/limits.h"
#include "common/json/json_walk.h"

void recorder_release(struct recorder *r)
{
    for (size_t i = 0; i < r->full_count; i++) block_release(&r->full[i].block);
    free(r->full);
    block_release(&r->values.block);
    block_release(&r->errors.block);
}

void recorder_resume(struct recorder *r, const struct stored_job *job)
{
    struct json_walk walk;
    struct json_slice name, value;
    r->counts = job->counts;
    if (!job->errors || !json_walk_init(&walk, job->errors, strlen(job->errors))) return;
    while (json_walk_next(&walk, &name, &value)) {
        for (int e = 0; e < ITEM_ERROR_COUNT; e++)
            if (json_string_is(name, item_error_name((enum item_error)e)))
                r->error_counts[e] = strtoull(value.data, NULL, 10);
    }
}

/* The sink. */

static void add_range(struct block *b, enum block_kind kind, uint64_t first, uint64_t n, bool repeated)
{
    struct block_range *last = b->range_count && b->ranges ? &b->ranges[b->range_count - 1] : NULL;
    b->kind = kind;
    if (last && !last->repeated && !repeated && last->first + last->n == first) {
        last->n += n;
        return;
    }
    if (!last || (b->range_count & (b->range_count - 1)) == 0) {
        size_t alloc = b->range_count ? 2 * b->range_count : 1;
        b->ranges = xrealloc(b->ranges, alloc * sizeof *b->ranges);
    }
    b->ranges[b->range_count++] = (struct block_range){first, n, repeated};
}

/* If `len` more bytes do not fit into the block, moves the block to r->full and begins a new one. */
static void make_room(struct recorder *r, struct recorder_block *b, size_t len)
{
    if (b->block.lines.len == 0 || b->block.lines.len + len <= LIMIT_RECORDED_BYTES) return;
    r->full = xrealloc(r->full, (r->full_count + 1) * sizeof *r->full);
    r->full[r->full_count++] = *b;
    r->full_bytes += b->block.lines.len;
    *b = (struct recorder_block){0};
}

static bool add(void *sink, uint64_t first, uint64_t n, const char *lines, size_t len)
{
    struct recorder *r = sink;
    if (r->closed) return true;
    make_room(r, &r->values, len);
    add_range(&r->values.block, BLOCK_VALUES, first, n, false);
    buf_add(&r->values.block.lines, lines, len);
    r->values.values_n += n;
    return true;
}

static bool take(void *sink, uint64_t index, struct buf *line)
{
    struct recorder *r = sink;
    struct block *b = &r->values.block;
    if (!r->closed) make_room(r, &r->values, line->len);
    if (r->closed || b->lines.len > 0) return add(sink, index, 1, line->data, line->len);
    add_range(b, BLOCK_VALUES, index, 1, false);
    r->values.values_n++;
    buf_release(&b->lines);
    b->lines = *line;
    *line = (struct buf){0};
    return true;
}

/* Returns the error of the line. Only the coordinator makes ITEM_CANCELLED and the errors after ITEM_CANCELLED in the
 * enum. An error that the coordinator makes names no worker. If a task's error has one of these names, the error names
 * a worker, and counts as a task_error, as in the scheduler. */
static enum item_error error_of(const char *line, size_t len)
{
    struct answer_line answer = answer_line_parse(line, len, false);
    struct json_walk walk;
    struct json_slice name, value, own = {0};
    bool has_worker = false;
    if (answer.error != ITEM_TASK_ERROR || !json_walk_init(&walk, answer.body, answer.body_len)) return answer.error;
    while (json_walk_next(&walk, &name, &value)) {
        if (json_string_is(name, "name")) own = value;
        if (json_string_is(name, "worker")) has_worker = value.data[0] != 'n';
    }
    for (int e = ITEM_CANCELLED; own.data && !has_worker && e < ITEM_ERROR_COUNT; e++)
        if (json_string_is(own, item_error_name((enum item_error)e))) return (enum item_error)e;
    return ITEM_TASK_ERROR;
}

/* Returns whether the line is an error that the coordinator wrote for an item that was not sent. */
static bool says_unsent(const char *line, size_t len)
{
    struct answer_line answer = answer_line_parse(line, len, false);
    struct json_walk walk;
    struct json_slice name, value;
    bool is_unsent = false;
    if (error_of(line, len) != ITEM_CANCELLED || !json_walk_init(&walk, answer.body, answer.body_len)) return false;
    while (json_walk_next(&walk, &name, &value))
        if (json_string_is(name, "sent")) is_unsent = value.data[0] == 'f';
    return is_unsent;
}

/* Returns whether the last line of the block equals this line. Often many ranges have the same error. */
static bool is_last_line(const struct buf *lines, const char *line, size_t len)
{
    if (!lines->data || lines->len < len || memcmp(lines->data + lines->len - len, line, len) != 0) return false;
    return lines->len == len || lines->data[lines->len - len - 1] == '\n';
}

static bool add_repeated(void *sink, uint64_t first, uint64_t n, const char *line, size_t len)
{
    struct recorder *r = sink;
    if (r->closed && r->unsent && says_unsent(line, len - 1)) range_list_add(r->unsent, first, n);
    if (r->closed) return true;
    make_room(r, &r->errors, len);
    if (!is_last_line(&r->errors.block.lines, line, len)) r->last_error = error_of(line, len - 1);
    add_range(&r->errors.block, BLOCK_ERRORS, first, n, n > 1);
    buf_add(&r->errors.block.lines, line, len);
    r->errors.errors_n[r->last_error] += n;
    return true;
}

static void explain(void *sink, char *out, size_t out_size)
{
    BUG("a recorder takes every answer");
}

struct answer_sink recorder_sink(struct recorder *r)
{
    static const struct answer_sink_ops ops = {add, take, add_repeated, explain};
    return (struct answer_sink){&ops, r};
}

/* The blocks. */

size_t recorder_bytes(const struct recorder *r)
{
    const struct block *v = &r->values.block, *e = &r->errors.block;
    return v->lines.len + e->lines.len + (v->range_count + e->range_count) * sizeof *v->ranges + r->full_bytes;
}

static void count(struct stored_counts *counts, const struct recorder_block *b)
{
    counts->succeeded += b->values_n;
    for (int e = 0; e < ITEM_ERROR_COUNT; e++)
        *(e == ITEM_CANCELLED ? &counts->cancelled : &counts->failed) += b->errors_n[e];
}

struct stored_counts recorder_settled(const struct recorder *r)
{
    struct stored_counts all = r->counts;
    for (size_t i = 0; i < r->full_count; i++) count(&all, &r->full[i]);
    count(&all, &r->values);
    count(&all, &r->errors);
    return all;
}

/* Moves the next block out of the recorder. */
static struct recorder_block next_block(struct recorder *r)
{
    struct recorder_block *from = r->values.block.range_count ? &r->values : &r->errors;
    struct recorder_block next = r->full_count ? r->full[0] : *from;
    if (r->full_count) {
        memmove(&r->full[0], &r->full[1], --r->full_count * sizeof *r->full);
        r->full_bytes -= next.block.lines.len;
    } else
        *from = (struct recorder_block){0};
    return next;
}

bool recorder_take(struct recorder *r, struct block *out)
{
    struct recorder_block next = next_block(r);
    count(&r->counts, &next);
    for (int e = 0; e < ITEM_ERROR_COUNT; e++) r->error_counts[e] += next.errors_n[e];
    *out = next.block;
    return out->range_count > 0;
}

char *recorder_errors_json(const struct recorder *r)
{
    struct buf b = {0};
    size_t len;
    for (int e = 0; e < ITEM_ERROR_COUNT; e++) {
        if (r->error_counts[e] == 0) continue;
        buf_addf(&b, "%c\"%s\":%llu", b.len ? ',' : '{', item_error_name((enum item_error)e),
                 (unsigned long long)r->error_counts[e]);
    }
    if (b.len == 0) return NULL;
    buf_add_str(&b, "}");
    buf_cstr(&b);
    return buf_detach(&b, &len);
}
