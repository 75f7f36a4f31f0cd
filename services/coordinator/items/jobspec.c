#include "coordinator/items/jobspec.h"

#include "coordinator/items/jobspec_fields.h"
#include "protocol/protocol.h"

void jobspec_init(struct jobspec *spec)
{
    *spec = (struct jobspec){
        .step = 1,
        .max_chunk_bytes = DEFAULT_MAX_CHUNK_BYTES,
        .priority = 5,
        .item_timeout_s = DEFAULT_ITEM_TIMEOUT_S,
        .retry = {.max_attempts = 3,
                  .interval_s = 0.1,
                  .backoff_rate = 2,
                  .max_delay_s = 30,
                  .jitter = JITTER_FULL,
                  .on = 1u << ITEM_CRASHED | 1u << ITEM_WORKER_LOST | 1u << ITEM_TIMED_OUT},
        .hedge_enabled = true,
        .hedge_max_extra_percent = 5,
        .tolerated_failure_count = -1,
        .tolerated_failure_percentage = 100,
        .reduce_fan_in = 16,
    };
}

void jobspec_release(struct jobspec *spec)
{
    for (size_t i = 0; i < spec->task_count; i++) free(spec->tasks[i]);
    free(spec->common);
    free(spec->labels);
    free(spec->notify_url);
    free(spec->reduce_task);
    *spec = (struct jobspec){0};
}

/* The absolute values of start, stop and step are below 2^53, so no sum or difference in this function overflows. */
static uint64_t generated_count(const struct jobspec *spec)
{
    int64_t way = spec->stop - spec->start, step = spec->step;
    if (way == 0 || (way > 0) != (step > 0)) return 0;
    return (uint64_t)((way + step + (step > 0 ? -1 : 1)) / step);
}

static bool finish_generated(struct jobspec *spec, enum job_source source, struct jobspec_error *err)
{
    bool range = source == SOURCE_RANGE;
    const char *name = range ? "range" : "spans";
    if (range && !jobspec_given(spec, "range.stop")) return jobspec_fail(err, 400, name, "range needs a stop");
    if (!range && (!jobspec_given(spec, "spans.stop") || !jobspec_given(spec, "spans.size")))
        return jobspec_fail(err, 400, name, "spans needs a stop and a size");
    spec->generated_count = generated_count(spec);
    if (spec->generated_count > LIMIT_ITEMS)
        return jobspec_fail(err, 400, name, "%s makes %llu items; a job may have at most %llu", name,
                            (unsigned long long)spec->generated_count, (unsigned long long)LIMIT_ITEMS);
    return true;
}

static bool finish_reduce(struct jobspec *spec, struct jobspec_error *err)
{
    if (!spec->reduce_task) {
        if (!jobspec_given(spec, "reduce.fan_in")) return true;
        return jobspec_fail(err, 400, "reduce", "reduce.fan_in is for a reduce task: give reduce.task");
    }
    if (spec->reduce != REDUCE_NONE)
        return jobspec_fail(err, 400, "reduce", "reduce can name a built-in reducer or a task, not both");
    return jobspec_fail(err, 400, "reduce", "a task cannot reduce yet: use sum, count, min, max or concat");
}

bool jobspec_finish(struct jobspec *spec, bool have_items, struct jobspec_error *err)
{
    bool range =
        jobspec_given(spec, "range.start") || jobspec_given(spec, "range.stop") || jobspec_given(spec, "range.step");
    bool spans =
        jobspec_given(spec, "spans.start") || jobspec_given(spec, "spans.stop") || jobspec_given(spec, "spans.size");
    if (spec->task_count == 0) return jobspec_fail(err, 400, "task", "a job must name its task");
    if (have_items + range + spans > 1)
        return jobspec_fail(err, 400, spans ? "spans" : "range",
                            "a job has one source of items: the body's items or lines, range, or spans");
    if (have_items + range + spans == 0)
        return jobspec_fail(err, 400, "",
                            "a job needs items, a range with its stop, or spans with their stop and size");
    spec->source = have_items ? SOURCE_ITEMS : range ? SOURCE_RANGE : SOURCE_SPANS;
    if (!have_items && !finish_generated(spec, spec->source, err)) return false;
    return finish_reduce(spec, err);
}

static char *put_int(char *p, int64_t n)
{
    char digits[20];
    size_t at = sizeof(digits);
    uint64_t u = n < 0 ? -(uint64_t)n : (uint64_t)n;
    do {
        digits[--at] = (char)('0' + u % 10);
        u /= 10;
    } while (u);
    if (n < 0) *p++ = '-';
    memcpy(p, digits + at, sizeof(digits) - at);
    return p + sizeof(digits) - at;
}

static char *put_text(char *p, const char *text, size_t len)
{
    memcpy(p, text, len);
    return p + len;
}

static char *put_item(const struct jobspec *spec, uint64_t index, char *p)
{
    int64_t a = spec->start + (int64_t)index * spec->step;
    if (spec->source == SOURCE_RANGE) {
        p = put_int(p, a);
    } else {
        int64_t b = spec->stop - a < spec->step ? spec->stop : a + spec->step;
        p = put_text(p, "{\"start\":", 9);
        p = put_int(p, a);
        p = put_text(p, ",\"stop\":", 8);
        p = put_int(p, b);
        *p++ = '}';
    }
    *p++ = '\n';
    return p;
}

bool jobspec_write_items(const struct jobspec *spec, uint64_t first, uint64_t count, struct buf *out)
{
    /* A generated item has at most ROOM bytes. Memory is reserved for BATCH items at a time. */
    enum { ROOM = 64, BATCH = 1024 };
    if (spec->source != SOURCE_RANGE && spec->source != SOURCE_SPANS) BUG("these items are not generated");
    if (first > spec->generated_count || count > spec->generated_count - first) BUG("no such items");
    size_t before = out->len;
    for (uint64_t i = 0; i < count;) {
        uint64_t n = count - i < BATCH ? count - i : BATCH;
        if (!buf_reserve(out, n * ROOM)) {
            out->len = before;
            return false;
        }
        char *p = out->data + out->len;
        for (uint64_t end = i + n; i < end; i++) p = put_item(spec, first + i, p);
        out->len = (size_t)(p - out->data);
    }
    return true;
}

bool jobspec_keeps_order(const struct jobspec *spec)
{
    return spec->order == ORDER_INPUT || spec->reduce != REDUCE_NONE;
}
