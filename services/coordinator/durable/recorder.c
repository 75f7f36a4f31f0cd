#include "coordinator/durable/recorder.h"

#include "common/json/json_walk.h"

void recorder_release(struct recorder *r)
{
    block_release(&r->values);
    block_release(&r->errors);
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

static bool add(void *sink, uint64_t first, uint64_t n, const char *lines, size_t len)
{
    struct recorder *r = sink;
    if (r->closed) return true;
    add_range(&r->values, BLOCK_VALUES, first, n, false);
    buf_add(&r->values.lines, lines, len);
    r->values_n += n;
    return true;
}

static bool take(void *sink, uint64_t index, struct buf *line)
{
    struct recorder *r = sink;
    if (r->closed || r->values.lines.len > 0) return add(sink, index, 1, line->data, line->len);
    add_range(&r->values, BLOCK_VALUES, index, 1, false);
    r->values_n++;
    buf_release(&r->values.lines);
    r->values.lines = *line;
    *line = (struct buf){0};
    return true;
}

/* Returns the error of the line. The errors from ITEM_CANCELLED on are those of the coordinator, which name no worker.
 * A task may use such a name too; its error counts as a task_error, as in the scheduler. */
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

static bool add_repeated(void *sink, uint64_t first, uint64_t n, const char *line, size_t len)
{
    struct recorder *r = sink;
    if (r->closed) return true;
    add_range(&r->errors, BLOCK_ERRORS, first, n, n > 1);
    buf_add(&r->errors.lines, line, len);
    r->errors_n[error_of(line, len - 1)] += n;
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
    size_t ranges = r->values.range_count + r->errors.range_count;
    return r->values.lines.len + r->errors.lines.len + ranges * sizeof *r->values.ranges;
}

static void count_taken_errors(struct recorder *r)
{
    for (int e = 0; e < ITEM_ERROR_COUNT; e++) {
        *(e == ITEM_CANCELLED ? &r->counts.cancelled : &r->counts.failed) += r->errors_n[e];
        r->error_counts[e] += r->errors_n[e];
        r->errors_n[e] = 0;
    }
}

struct stored_counts recorder_settled(const struct recorder *r)
{
    struct stored_counts all = r->counts;
    all.succeeded += r->values_n;
    for (int e = 0; e < ITEM_ERROR_COUNT; e++) *(e == ITEM_CANCELLED ? &all.cancelled : &all.failed) += r->errors_n[e];
    return all;
}

bool recorder_take(struct recorder *r, struct block *out)
{
    struct block *from = r->values.range_count ? &r->values : &r->errors;
    if (from->range_count == 0) return false;
    if (from == &r->values) {
        r->counts.succeeded += r->values_n;
        r->values_n = 0;
    } else {
        count_taken_errors(r);
    }
    *out = *from;
    *from = (struct block){0};
    return true;
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
