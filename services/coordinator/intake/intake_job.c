/* Fills in the ACCEPT call when the body of a job has been read. While the body arrives, decides whether there is
 * memory for its next bytes. */
#include "common/base/memory_room.h"
#include "coordinator/durable/stored_options.h"
#include "coordinator/intake/intake_internal.h"
#include "coordinator/job/job_tasks.h"

/* Adds a query parameter to the options, except two parameters that the run does not need. The store keeps the URL of
 * `notify` apart from the options. `first_line` only says how to read the body, and the body has already been read. A
 * coordinator of an older version may run the job, and it would refuse a parameter that it does not know. */
static void write_query(void *out, const char *name, const char *value)
{
    if (strcmp(name, "notify.url") == 0 || strcmp(name, "first_line") == 0) return;
    stored_options_add_query(out, name, value);
}

static void write_trace(struct buf *out, const struct trace_scope *trace)
{
    char parent[TRACEPARENT_SIZE];
    if (!trace->known) return;
    trace_context_format(&trace->context, parent);
    stored_options_add_trace(out, parent, trace->state);
}

static char *write_options(struct http_exchange *x, const struct splitter *splitter, const struct jobspec *spec,
                           struct catalog *catalog, const struct trace_scope *trace)
{
    struct buf out = {0}, rest = {0};
    const struct buf *options = spec->notify_url ? &rest : &splitter->options;
    size_t len, common_at = spec->common_source ? (size_t)(spec->common_source - splitter->options.data) : 0;
    if (spec->notify_url) common_at = stored_options_without(&splitter->options, "notify", spec->common_source, &rest);
    stored_options_begin(&out);
    http_exchange_each_query(x, write_query, &out);
    common_at += stored_options_add_object(&out, options, splitter->items_seen, job_tasks_idempotency(catalog, spec));
    write_trace(&out, trace);
    stored_options_end(&out, common_at, spec->common_source ? spec->common_source_len : 0);
    buf_release(&rest);
    buf_cstr(&out);
    return buf_detach(&out, &len);
}

static char *write_tasks(const struct jobspec *spec)
{
    struct buf out = {0};
    size_t len;
    for (size_t i = 0; i < spec->task_count; i++) {
        if (i) buf_add_char(&out, ',');
        buf_add_str(&out, spec->tasks[i]);
    }
    buf_cstr(&out);
    return buf_detach(&out, &len);
}

bool intake_makes_items(const struct jobspec *spec)
{
    return spec->source == SOURCE_RANGE || spec->source == SOURCE_SPANS;
}

void intake_describe(struct stored_job *job, struct http_exchange *x, const struct splitter *splitter,
                     struct jobspec *spec, struct catalog *catalog, const struct trace_scope *trace)
{
    job->task = write_tasks(spec);
    job->options = write_options(x, splitter, spec, catalog, trace);
    job->labels = spec->labels;
    spec->labels = NULL;
    job->notify = spec->notify_url;
    spec->notify_url = NULL;
    job->needs = jobspec_needs(spec);
    job->priority = (int)spec->priority;
    job->items = intake_makes_items(spec) ? spec->generated_count : 0;
}

const char *intake_lacks_room(const struct jobs *jobs, const struct splitter *splitter, size_t held, size_t len)
{
    size_t growth = splitter_growth(splitter, len);
    bool pauses = splitter->partial.len < MEMORY_SMALL_BYTES;
    if (!memory_has_room(growth)) return "the coordinator has reached its memory limit, and this job needs more memory";
    if (pauses || jobs_have_item_room(jobs, held, growth)) return NULL;
    return "the items of other jobs use up --item-memory-total-bytes, and this job has a long item; send the job again"
           " later";
}
