#include "coordinator/job/phase.h"

#include "common/base/limits.h"
#include "common/base/memory_room.h"
#include "coordinator/items/payload.h"
#include "coordinator/job/job_internal.h"
#include "coordinator/job/job_keeper.h"
#include "coordinator/job/job_tasks.h"

/* A worker counts as lost if it sends nothing for longer than the timeout of an item plus this time. */
enum { SILENCE_MARGIN_MS = 10000 };
/* The size of a generated item, as an estimate for the scheduler. */
enum { GENERATED_ITEM_BYTES = 16 };

static void write_chunk_header(struct buf *b, const struct jobspec *spec)
{
    buf_addf(b, "{\"item_timeout_s\":%.17g", spec->item_timeout_s);
    if (spec->task_count > 1) {
        buf_add_str(b, ",\"pipeline\":[");
        for (size_t i = 0; i < spec->task_count; i++) {
            if (i) buf_add_char(b, ',');
            buf_add_json_string(b, spec->tasks[i], strlen(spec->tasks[i]));
        }
        buf_add_char(b, ']');
    }
    if (spec->common) {
        /* The memory is reserved first, so that `common` is copied only once. */
        if (!buf_reserve(b, spec->common_len + KIB)) BUG("a buffer without a cap refused");
        buf_add_str(b, ",\"common\":");
        buf_add(b, spec->common, spec->common_len);
    }
    buf_add_str(b, "}\n");
}

enum idempotency phase_idempotency(const struct phase *p)
{
    const struct job *j = p->job;
    enum idempotency now = job_tasks_idempotency(&j->jobs->fleet->survey.catalog, &j->spec);
    return j->keeper ? idempotency_of_both(now, j->keeper->idempotent) : now;
}

static struct sched_retry retry_params(const struct job_retry *retry)
{
    return (struct sched_retry){
        .max_attempts = (unsigned)retry->max_attempts,
        .interval_s = retry->interval_s,
        .backoff_rate = retry->backoff_rate,
        .max_delay_s = retry->max_delay_s,
        .full_jitter = retry->jitter == JITTER_FULL,
        .on = retry->on,
    };
}

static unsigned priority_of(const struct jobspec *spec)
{
    return (unsigned)(spec->priority > 0 ? spec->priority : 1);
}

static uint64_t tolerated_failures(const struct jobspec *spec)
{
    return spec->tolerated_failure_count < 0 ? SCHED_NO_LIMIT : (uint64_t)spec->tolerated_failure_count;
}

static uint64_t deadline_ns(const struct job *j)
{
    return j->spec.deadline_s > 0 ? j->started_ns + (uint64_t)(j->spec.deadline_s * 1e9) : SCHED_NEVER;
}

/* Writes the task name that the scheduler uses: the job's task, or the comma-separated tasks of its pipeline. */
static void write_task_name(struct buf *b, const struct jobspec *spec)
{
    for (size_t i = 0; i < spec->task_count; i++) {
        if (i) buf_add_char(b, ',');
        buf_add_str(b, spec->tasks[i]);
    }
}

static bool may_hedge(const struct phase *p)
{
    return p->job->spec.hedge_enabled && phase_idempotency(p) == IDEMPOTENCY_YES;
}

static void fill_params(struct sched_job_params *params, struct phase *p)
{
    const struct jobspec *spec = &p->job->spec;
    sched_job_params_init(params);
    params->owner = p;
    params->chunk_size = (uint32_t)spec->chunk_size;
    params->max_chunk_bytes = (size_t)spec->max_chunk_bytes;
    params->common_bytes = p->chunk_header.len;
    params->max_concurrency = (uint64_t)spec->max_concurrency;
    params->max_rate = spec->max_rate;
    params->priority = priority_of(spec);
    params->retry = retry_params(&spec->retry);
    params->hedge_enabled = may_hedge(p);
    params->hedge_max_extra_percent = spec->hedge_max_extra_percent;
    params->tolerated_failure_count = tolerated_failures(spec);
    params->tolerated_failure_percentage = spec->tolerated_failure_percentage;
    params->deadline_ns = deadline_ns(p->job);
    params->idempotent = phase_idempotency(p) != IDEMPOTENCY_NO;
    if (p->job->keeper) params->before = p->job->keeper->before;
}

static bool makes_items(const struct jobspec *spec)
{
    return spec->source == SOURCE_RANGE || spec->source == SOURCE_SPANS;
}

static void choose_items(struct phase *p)
{
    p->generated.spec = &p->job->spec;
    p->spooled.spool = &p->job->submission.spool;
    if (p->job->keeper)
        p->items = p->job->keeper->items;
    else if (makes_items(&p->job->spec))
        p->items = generated_items_source(&p->generated);
    else
        p->items = spooled_items_source(&p->spooled);
}

void phase_start(struct phase *p, struct job *job, struct answer_sink answers)
{
    struct sched_job_params params;
    struct buf task = {0};
    const struct spool *spool = &job->submission.spool;
    uint64_t generated = makes_items(&job->spec) ? job->spec.generated_count : 0;
    p->job = job;
    p->answers = answers;
    p->knows_tasks = job_tasks_are_described(&job->jobs->fleet->survey.catalog, &job->spec);
    choose_items(p);
    write_chunk_header(&p->chunk_header, &job->spec);
    fill_params(&params, p);
    write_task_name(&task, &job->spec);
    params.task = buf_cstr(&task);
    p->sched = sched_job_add(job->jobs->turn->scheduler, &params, now_ns());
    buf_release(&task);
    if (!job->keeper)
        sched_job_offer(p->sched, generated + spool->items, generated * GENERATED_ITEM_BYTES + spool->bytes);
    scheduler_timing_want(job->jobs->turn);
}

void phase_offer(struct phase *p, uint64_t items, uint64_t bytes)
{
    if (!p->sched) return;
    sched_job_offer(p->sched, items, bytes);
    scheduler_timing_want(p->job->jobs->turn);
}

void phase_no_more_items(struct phase *p)
{
    sched_job_no_more_items(p->sched);
    scheduler_timing_want(p->job->jobs->turn);
}

void phase_update(struct phase *p)
{
    const struct jobspec *spec = &p->job->spec;
    sched_job_set_priority(p->sched, priority_of(spec));
    sched_job_set_max_concurrency(p->sched, (uint64_t)spec->max_concurrency);
    sched_job_set_max_rate(p->sched, spec->max_rate);
    sched_job_set_tolerance(p->sched, tolerated_failures(spec), spec->tolerated_failure_percentage);
    sched_job_set_deadline(p->sched, deadline_ns(p->job));
    scheduler_timing_want(p->job->jobs->turn);
}

void phase_learn_tasks(struct phase *p)
{
    if (!p->sched || p->knows_tasks) return;
    p->knows_tasks = job_tasks_are_described(&p->job->jobs->fleet->survey.catalog, &p->job->spec);
    if (!p->knows_tasks) return;
    sched_job_set_idempotency(p->sched, phase_idempotency(p) != IDEMPOTENCY_NO, may_hedge(p));
    scheduler_timing_want(p->job->jobs->turn);
}

void phase_release(struct phase *p)
{
    buf_release(&p->chunk_header);
}

/* For the dispatcher. */

/* Returns how many bytes a cut may have. For a small cut, does not ask the kernel how much memory is free. Most chunks
 * are small, and the system call would take a tenth of the time that a small chunk takes. */
static size_t room_for_cut(const struct phase *p, size_t max_items, size_t max_bytes)
{
    if (max_bytes <= MEMORY_SMALL_BYTES) return max_bytes;
    uint64_t item_bytes = item_source_item_bytes(&p->items);
    bool likely_small = item_bytes == 0 || max_items <= MEMORY_SMALL_BYTES / 2 / item_bytes;
    return likely_small || !memory_has_room(max_bytes) ? MEMORY_SMALL_BYTES : max_bytes;
}

static void items_taken(struct job *j)
{
    submission_drained(&j->submission);
    if (j->keeper) j->keeper->ops->items_taken(j->keeper->keeper);
}

size_t phase_cut(struct phase *p, struct sched_chunk *chunk, size_t max_items, size_t max_bytes, size_t *bytes)
{
    struct buf lines = {0};
    uint64_t n = item_source_cut(&p->items, max_items, room_for_cut(p, max_items, max_bytes), &chunk->first, &lines);
    items_taken(p->job);
    *bytes = lines.len;
    chunk->payload = payload_new(&lines, n);
    return (size_t)n;
}

uint64_t phase_drop(struct phase *p, uint64_t max_items, uint64_t *first)
{
    uint64_t dropped = item_source_drop(&p->items, max_items, first);
    items_taken(p->job);
    return dropped;
}

void phase_finished(struct phase *p, const struct sched_outcome *outcome)
{
    p->sched = NULL;
    job_phase_finished(p->job, outcome);
}

const char *phase_reason(struct phase *p, const char *reason)
{
    return job_reason(p->job, reason);
}

void phase_waiting(struct phase *p, enum sched_waiting why)
{
    job_set_waiting(p->job, why);
}

static void added(struct phase *p, bool kept)
{
    if (!kept) job_fail_to_keep(p->job, &p->answers);
    job_spill_later(p->job);
    job_answers_came(p->job);
}

void phase_add_values(struct phase *p, uint64_t first, uint64_t n, const char *lines, size_t len)
{
    added(p, p->answers.ops->add(p->answers.sink, first, n, lines, len));
    job_pause_or_resume(p->job);
}

void phase_take_value(struct phase *p, uint64_t index, struct buf *line)
{
    added(p, p->answers.ops->take(p->answers.sink, index, line));
    job_pause_or_resume(p->job);
}

void phase_add_error(struct phase *p, uint64_t first, uint64_t n, const char *line, size_t len)
{
    added(p, p->answers.ops->add_repeated(p->answers.sink, first, n, line, len));
}

bool phase_lacks_memory(struct phase *p)
{
    struct job *j = p->job;
    bool waits = j->keeper && j->keeper->ops->lacks_memory(j->keeper->keeper);
    if (waits)
        job_pause_or_resume(j);
    else
        job_fail_for_memory(j);
    return waits;
}

const char *phase_task(const struct phase *p)
{
    return p->job->spec.tasks[0];
}

uint64_t phase_deadline_ms(const struct phase *p)
{
    uint64_t end = deadline_ns(p->job), now = now_ns();
    if (end == SCHED_NEVER) return UINT64_MAX;
    return end > now ? (end - now) / NS_PER_MS : 0;
}

uint64_t phase_silence_ms(const struct phase *p)
{
    double timeout_s = p->job->spec.item_timeout_s;
    return timeout_s > 0 ? (uint64_t)(timeout_s * 1e3) + SILENCE_MARGIN_MS : 0;
}
