/* Fuzzes the reader of job options. The input is a JSON object, or a query of lines NAME=VALUE. Options outside of
 * their bounds must be refused with a reason. */
#include "common/json/json_scan.h"
#include "coordinator/items/jobspec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(const struct jobspec_error *err)
{
    if (err->status != 400 && err->status != 404) BUG("status %d", err->status);
    if (!err->detail[0]) BUG("no detail");
    if (!memchr(err->pointer, 0, sizeof err->pointer) || !memchr(err->detail, 0, sizeof err->detail))
        BUG("an error text without a NUL");
}

static void check_spec(const struct jobspec *spec)
{
    if (spec->task_count == 0 || spec->task_count > PIPELINE_TASKS_MAX) BUG("%zu tasks", spec->task_count);
    if (spec->max_concurrency < 0 || spec->chunk_size < 0 || spec->retry.max_attempts < 1 || spec->deadline_s < 0)
        BUG("an option is out of bounds");
    if (spec->source != SOURCE_RANGE && spec->source != SOURCE_SPANS) return;
    if (spec->generated_count > LIMIT_ITEMS) BUG("too many generated items");
    struct buf items = {.cap = 1 << 16};
    uint64_t count = spec->generated_count < 20 ? spec->generated_count : 20;
    if (!jobspec_write_items(spec, spec->generated_count - count, count, &items)) BUG("20 items beyond 64 KiB");
    uint64_t lines = 0;
    for (size_t i = 0; i < items.len; i++) lines += items.data[i] == '\n';
    if (lines != count) BUG("%llu lines for %llu items", (unsigned long long)lines, (unsigned long long)count);
    buf_release(&items);
}

static bool read_query(struct jobspec *spec, char *text, struct jobspec_error *err)
{
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        char *value = strchr(line, '=');
        if (value) *value++ = 0;
        if (!jobspec_read_query(spec, line, value ? value : "", err)) return false;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct jobspec spec;
    struct jobspec_error err = {0};
    char *text = xmalloc(size + 1);
    size_t fault;
    const char *error;
    if (size) memcpy(text, data, size);
    text[size] = 0;
    jobspec_init(&spec);
    bool is_object = size > 0 && text[0] == '{' && json_valid(text, size, &fault, &error);
    bool ok = is_object ? jobspec_read_options(&spec, text, size, &err) : read_query(&spec, text, &err);
    if (ok) ok = jobspec_finish(&spec, !is_object, &err);
    if (ok)
        check_spec(&spec);
    else
        check_error(&err);
    jobspec_release(&spec);
    free(text);
    return 0;
}
