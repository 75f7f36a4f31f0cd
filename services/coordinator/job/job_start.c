#include "coordinator/job/job_internal.h"

#include "common/base/limits.h"

static void write_chunk_header(struct job *j)
{
    struct buf *b = &j->chunk_header;
    buf_addf(b, "{\"item_timeout_s\":%.17g", j->spec.item_timeout_s);
    if (j->spec.task_count > 1) {
        buf_add_str(b, ",\"pipeline\":[");
        for (size_t i = 0; i < j->spec.task_count; i++) {
            if (i) buf_add_char(b, ',');
            buf_add_json_string(b, j->spec.tasks[i], strlen(j->spec.tasks[i]));
        }
        buf_add_char(b, ']');
    }
    if (j->spec.common) {
        buf_add_str(b, ",\"common\":");
        buf_add(b, j->spec.common, j->spec.common_len);
    }
    buf_add_str(b, "}\n");
}

static bool all_idempotent(const struct job *j)
{
    for (size_t i = 0; i < j->spec.task_count; i++) {
        const struct catalog_task *task = catalog_find(&j->coordinator->fleet.catalog, j->spec.tasks[i]);
        if (task && !task->idempotent) return false;
    }
    return true;
}

static void fill_params(const struct job *j, struct sched_job_params *p)
{
    const struct jobspec *spec = &j->spec;
    sched_job_params_init(p);
    p->owner = (void *)(uintptr_t)j;
    p->chunk_size = (uint32_t)spec->chunk_size;
    p->max_chunk_bytes = (size_t)spec->max_chunk_bytes;
    p->common_bytes = j->chunk_header.len;
    p->max_concurrency = (uint64_t)spec->max_concurrency;
    p->priority = (unsigned)(spec->priority > 0 ? spec->priority : 1);
    p->retry = (struct sched_retry){
        .max_attempts = (unsigned)spec->retry.max_attempts,
        .interval_s = spec->retry.interval_s,
        .backoff_rate = spec->retry.backoff_rate,
        .max_delay_s = spec->retry.max_delay_s,
        .full_jitter = spec->retry.jitter == JITTER_FULL,
        .on = spec->retry.on,
    };
    p->hedge_enabled = spec->hedge_enabled;
    p->hedge_max_extra_percent = spec->hedge_max_extra_percent;
    if (spec->tolerated_failure_count >= 0) p->tolerated_failure_count = (uint64_t)spec->tolerated_failure_count;
    p->tolerated_failure_percentage = spec->tolerated_failure_percentage;
    if (spec->deadline_s > 0) p->deadline_ns = j->started_ns + (uint64_t)(spec->deadline_s * 1e9);
    p->idempotent = all_idempotent(j);
}

static bool spill_write(void *ctx, uint64_t offset, const char *bytes, size_t len)
{
    return spill_file_write(ctx, offset, bytes, len);
}

static bool spill_read(void *ctx, uint64_t offset, char *bytes, size_t len)
{
    return spill_file_read(ctx, offset, bytes, len);
}

static bool makes_items(const struct job *j)
{
    return j->spec.source == SOURCE_RANGE || j->spec.source == SOURCE_SPANS;
}

static struct item_source items_of(struct job *j)
{
    j->generated.spec = &j->spec;
    j->spooled.spool = &j->spool;
    return makes_items(j) ? generated_items_source(&j->generated) : spooled_items_source(&j->spooled);
}

static void start(struct job *j)
{
    struct sched_job_params params;
    write_chunk_header(j);
    fill_params(j, &params);
    j->collector = collector_new(&(struct collector_config){
        .order = jobspec_keeps_order(&j->spec) ? COLLECT_INPUT_ORDER : COLLECT_COMPLETION_ORDER,
        .memory_cap = (size_t)j->coordinator->config->result_memory_bytes,
        .spill = {spill_write, spill_read, &j->spill},
    });
    j->started = true;
    j->items = items_of(j);
    j->sched = sched_job_add(j->coordinator->dispatcher.scheduler, &params, now_ns());
    if (makes_items(j))
        sched_job_offer(j->sched, j->spec.generated_count, j->spec.generated_count * 16);
    else if (j->spool.items)
        sched_job_offer(j->sched, j->spool.items, j->spool.bytes);
    if (j->state == JOB_RUNNING) sched_job_no_more_items(j->sched);
    scheduler_turn_want(&j->coordinator->turn);
}

/* The first task that the workers have but cannot run. A worker may have mended it since: that is asked anew. */
static const struct catalog_task *first_broken_task(const struct job *j)
{
    for (size_t i = 0; i < j->spec.task_count; i++) {
        const struct catalog_task *task = catalog_find(&j->coordinator->fleet.catalog, j->spec.tasks[i]);
        if (task && task->error) return task;
    }
    return NULL;
}

static void refuse_broken_task(struct job *j, const struct catalog_task *task)
{
    struct buf members = {0};
    job_refuse(j, 422, job_pointer_member(&members, "/task"), "the task \"%s\" cannot run: %s", task->name,
               task->error);
    buf_release(&members);
}

static const char *first_unknown_task(const struct job *j)
{
    for (size_t i = 0; i < j->spec.task_count; i++)
        if (!catalog_find(&j->coordinator->fleet.catalog, j->spec.tasks[i])) return j->spec.tasks[i];
    return NULL;
}

static void refuse_unknown_task(struct job *j, const char *task)
{
    struct buf names = {0}, members = {0};
    catalog_list_names(&j->coordinator->fleet.catalog, &names);
    job_refuse(j, 404, job_pointer_member(&members, "/task"), "there is no task \"%s\"; the workers have %s", task,
               buf_cstr(&names));
    buf_release(&names);
    buf_release(&members);
}

/* The catalog was asked. When no worker could say, the job starts all the same and waits for one that can. */
static void catalog_answered(void *data, bool ok)
{
    struct job *j = data;
    j->question = NULL;
    if (j->refused) return;
    const char *unknown = first_unknown_task(j);
    const struct catalog_task *broken = first_broken_task(j);
    if (ok && unknown)
        refuse_unknown_task(j, unknown);
    else if (ok && broken)
        refuse_broken_task(j, broken);
    else
        start(j);
}

void job_start_when_known(struct job *j)
{
    j->start_asked = true;
    bool good = !first_unknown_task(j) && !first_broken_task(j);
    if (!good) j->question = worker_fleet_ask_tasks(&j->coordinator->fleet, catalog_answered, j);
    if (!j->question) start(j);
}
