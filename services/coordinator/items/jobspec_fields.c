#include "coordinator/items/jobspec_fields.h"

#include <stdarg.h>

#define MAX_WHOLE (LIMIT_JSON_INTEGER - 1) /* 2^53 - 1; a double holds every integer up to this one */
#define DAY_S     86400.0

static const char *const order_words[] = {[ORDER_INPUT] = "input", [ORDER_COMPLETION] = "completion"};
static const char *const errors_words[] = {[ERRORS_EACH] = "each", [ERRORS_RUNS] = "runs"};
static const char *const first_line_words[] = {[FIRST_LINE_ITEM] = "item", [FIRST_LINE_OPTIONS] = "options"};
static const char *const jitter_words[] = {[JITTER_NONE] = "none", [JITTER_FULL] = "full"};
static_assert(ARRAY_SIZE(order_words) == ORDER_COUNT, "one word per order");
static_assert(ARRAY_SIZE(errors_words) == ERRORS_COUNT, "one word per way to write errors");
static_assert(ARRAY_SIZE(first_line_words) == FIRST_LINE_COUNT, "one word for each kind of a first line");
static_assert(ARRAY_SIZE(jitter_words) == JITTER_COUNT, "one word per jitter");

#define AT(member)  .offset = offsetof(struct jobspec, member)
#define WORDS(list) .words = (list), .word_count = ARRAY_SIZE(list)

const struct field jobspec_fields[] = {
    {"task", FIELD_TASKS, AT(tasks)},
    {"range.start", FIELD_INT, AT(start), -MAX_WHOLE, MAX_WHOLE},
    {"range.stop", FIELD_INT, AT(stop), -MAX_WHOLE, MAX_WHOLE},
    {"range.step", FIELD_INT, AT(step), -MAX_WHOLE, MAX_WHOLE},
    {"spans.start", FIELD_INT, AT(start), -MAX_WHOLE, MAX_WHOLE},
    {"spans.stop", FIELD_INT, AT(stop), -MAX_WHOLE, MAX_WHOLE},
    {"spans.size", FIELD_INT, AT(step), 1, MAX_WHOLE},
    {"common", FIELD_RAW, AT(common)},
    {"order", FIELD_WORD, AT(order), WORDS(order_words)},
    {"errors", FIELD_WORD, AT(errors), WORDS(errors_words)},
    {"chunk_size", FIELD_INT, AT(chunk_size), 0, LIMIT_CHUNK_ITEMS},
    {"max_chunk_bytes", FIELD_INT, AT(max_chunk_bytes), 1, LIMIT_ITEM_BYTES},
    {"max_concurrency", FIELD_INT, AT(max_concurrency), 0, LIMIT_CONCURRENCY},
    {"max_rate", FIELD_NUMBER, AT(max_rate), 0, LIMIT_RATE, .needs = 2},
    {"priority", FIELD_INT, AT(priority), 0, 9},
    {"item_timeout_s", FIELD_NUMBER, AT(item_timeout_s), 0, LIMIT_TIME_S},
    {"deadline_s", FIELD_NUMBER, AT(deadline_s), 0, LIMIT_TIME_S},
    {"retry.max_attempts", FIELD_INT, AT(retry.max_attempts), 1, LIMIT_ATTEMPTS},
    {"retry.interval_s", FIELD_NUMBER, AT(retry.interval_s), 0, DAY_S},
    {"retry.backoff_rate", FIELD_NUMBER, AT(retry.backoff_rate), 1, 100},
    {"retry.max_delay_s", FIELD_NUMBER, AT(retry.max_delay_s), 0, DAY_S},
    {"retry.jitter", FIELD_WORD, AT(retry.jitter), WORDS(jitter_words)},
    {"retry.on", FIELD_ERRORS, AT(retry.on)},
    {"hedge.enabled", FIELD_BOOL, AT(hedge_enabled)},
    {"hedge.max_extra_percent", FIELD_NUMBER, AT(hedge_max_extra_percent), 0, 100},
    {"tolerated_failure_count", FIELD_INT, AT(tolerated_failure_count), 0, MAX_WHOLE, .nullable = true},
    {"tolerated_failure_percentage", FIELD_NUMBER, AT(tolerated_failure_percentage), 0, 100},
    {"reduce", FIELD_WORD, AT(reduce), WORDS(reduce_words), .needs = 1},
    {"reduce.task", FIELD_TASK, AT(reduce_task)},
    {"reduce.fan_in", FIELD_INT, AT(reduce_fan_in), 2, 1024},
    {"labels", FIELD_LABELS, AT(labels)},
    {"notify.url", FIELD_URL, AT(notify_url)},
    {"first_line", FIELD_WORD, AT(first_line), WORDS(first_line_words), .query_only = true},
    {"progress_s", FIELD_NUMBER, AT(progress_s), 0, DAY_S, .query_only = true},
};
const size_t jobspec_field_count = ARRAY_SIZE(jobspec_fields);
static_assert(ARRAY_SIZE(jobspec_fields) <= 64, "one bit of jobspec.seen per field");
static_assert(sizeof(enum job_order) == sizeof(unsigned), "words are stored as unsigned");

const char *job_reduce_name(enum job_reduce reduce)
{
    return reduce == REDUCE_NONE ? "none" : reduce_words[reduce];
}

const struct field *jobspec_field(const char *name)
{
    for (size_t i = 0; i < jobspec_field_count; i++) {
        if (strcmp(jobspec_fields[i].name, name) == 0) return &jobspec_fields[i];
    }
    return NULL;
}

bool jobspec_given(const struct jobspec *spec, const char *name)
{
    const struct field *f = jobspec_field(name);
    if (!f) BUG("no field %s", name);
    return spec->seen >> (f - jobspec_fields) & 1;
}

unsigned jobspec_needs(const struct jobspec *spec)
{
    unsigned most = 0;
    for (size_t i = 0; i < jobspec_field_count; i++)
        if ((spec->seen >> i & 1) && jobspec_fields[i].needs > most) most = jobspec_fields[i].needs;
    return most;
}

bool jobspec_is_group(const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < jobspec_field_count; i++) {
        if (strncmp(jobspec_fields[i].name, name, len) == 0 && jobspec_fields[i].name[len] == '.') return true;
    }
    return false;
}

bool jobspec_fail(struct jobspec_error *err, int status, const char *name, const char *fmt, ...)
{
    err->status = status;
    snprintf(err->pointer, sizeof(err->pointer), "%s%s", *name ? "/" : "", name);
    for (char *p = err->pointer; *p; p++) {
        if (*p == '.') *p = '/';
    }
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->detail, sizeof(err->detail), fmt, args);
    va_end(args);
    return false;
}
