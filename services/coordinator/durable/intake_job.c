/* Fills in the ACCEPT call after the whole body of a job was read. */
#include "coordinator/durable/intake.h"
#include "coordinator/durable/stored_options.h"
#include "coordinator/job/job_tasks.h"

/* The store keeps the URL of `notify` apart from the options. So a coordinator of an older version, which does not know
 * `notify`, can still run the job. */
static void write_query(void *out, const char *name, const char *value)
{
    if (strcmp(name, "notify.url") != 0) stored_options_add_query(out, name, value);
}

static char *write_options(struct http_exchange *x, const struct splitter *splitter, const struct jobspec *spec,
                           struct catalog *catalog)
{
    struct buf out = {0}, rest = {0};
    size_t len;
    if (spec->notify_url) stored_options_without(&splitter->options, "notify", &rest);
    stored_options_begin(&out);
    http_exchange_each_query(x, write_query, &out);
    stored_options_end(&out, spec->notify_url ? &rest : &splitter->options, splitter->items_seen,
                       job_tasks_idempotency(catalog, spec));
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
                     struct jobspec *spec, struct catalog *catalog)
{
    job->task = write_tasks(spec);
    job->options = write_options(x, splitter, spec, catalog);
    job->labels = spec->labels;
    spec->labels = NULL;
    job->notify = spec->notify_url;
    spec->notify_url = NULL;
    job->needs = jobspec_needs(spec);
    job->priority = (int)spec->priority;
    job->items = intake_makes_items(spec) ? spec->generated_count : 0;
}
