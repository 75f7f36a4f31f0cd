#include "coordinator/job/job.h"

#include <stdarg.h>

#include "common/json/encoding.h"
#include "common/observe/log.h"
#include "common/observe/metrics.h"
#include "coordinator/job/job_internal.h"
#include "coordinator/job/job_keeper.h"
#include "coordinator/job/job_trace.h"
#include "protocol/protocol.h"

static const char *const state_names[] = {
    [JOB_NEW] = "new",     [JOB_ASKING] = "asking",   [JOB_RUNNING] = "running",
    [JOB_ENDED] = "ended", [JOB_REFUSED] = "refused",
};
static_assert(ARRAY_SIZE(state_names) == JOB_STATE_COUNT, "one name per state");

void job_move(struct job *j, enum job_state to)
{
    log_debug("job moved", LOG_STR("job", j->id), LOG_STR("from", state_names[j->state]),
              LOG_STR("to", state_names[to]));
    j->state = to;
}

/* How many bytes of answers are folded in one turn of the loop. Folding this many bytes takes about 5 ms. */
enum { FOLD_BYTES = 512 * 1024 };

/* The life of a job. */

static struct job *job_with_id(struct jobs *jobs, const char *id)
{
    struct job *j = xcalloc(1, sizeof *j);
    j->jobs = jobs;
    j->started_ns = now_ns();
    snprintf(j->id, sizeof j->id, "%s", id);
    list_init(&j->readers);
    jobs_add(jobs, j);
    return j;
}

struct job *job_new(struct jobs *jobs)
{
    char id[UUID_TEXT_SIZE];
    uuid7_new(id);
    return job_with_id(jobs, id);
}

static void set_folds_more(struct job *j, bool more)
{
    if (j->folds_more) list_remove(&j->jobs->folds, &j->fold_link);
    if (more) list_push_back(&j->jobs->folds, &j->fold_link);
    if (more) turn_stay_awake(&j->jobs->fold_step, true);
    j->folds_more = more;
}

static void set_spills_more(struct job *j, bool more)
{
    if (more == j->spills_more) return;
    if (j->spills_more) list_remove(&j->jobs->spills, &j->spill_link);
    if (more) list_push_back(&j->jobs->spills, &j->spill_link);
    if (more) turn_stay_awake(&j->jobs->fold_step, true);
    j->spills_more = more;
}

static void free_when_over(struct job *j)
{
    if (j->keeper || j->submission.exchange || j->phase.sched || j->readers.n > 0) return;
    struct jobs *jobs = j->jobs;
    job_trace_end(j);
    if (j->question) survey_question_drop(&jobs->fleet->survey, j->question);
    set_folds_more(j, false);
    set_spills_more(j, false);
    if (j->paused) list_remove(&jobs->paused, &j->paused_link);
    jobs_remove(jobs, j);
    submission_release(&j->submission);
    phase_release(&j->phase);
    fold_release(&j->fold);
    answer_buffer_release(&j->answers, &jobs->buried);
    if (jobs->buried) turn_stay_awake(&jobs->fold_step, true);
    jobspec_release(&j->spec);
    free(j->task_fault);
    free(j);
    jobs->job_gone(jobs->data);
}

/* Cancels the job if it has no client left, because nobody could read its answers. */
void job_client_gone(struct job *j)
{
    if (!j->submission.exchange && j->readers.n == 0) job_cancel(j, SCHED_CANCELLED, "the client disconnected");
    free_when_over(j);
}

/* Records the cancellation without calling the scheduler, because this function may be called from inside an op of the
 * scheduler. */
static void note_cancel(struct job *j)
{
    j->cancel_is_noted = true;
    list_push_back(&j->jobs->cancels, &j->cancel_link);
    scheduler_timing_want(j->jobs->turn);
}

void job_cancel(struct job *j, enum sched_status status, const char *reason)
{
    if (j->state == JOB_ENDED || j->cancel_reason) return;
    j->cancel_status = status;
    j->cancel_reason = reason;
    if (j->phase.sched) note_cancel(j);
}

/* A document is always in input order, because its values have no index. Completion order would gain nothing, because
 * the document is not sent before the last item has ended. */
static enum collector_order answers_order(const struct job *j)
{
    bool document = j->submission.exchange && !reader_takes_lines(j->submission.exchange);
    return document || jobspec_keeps_order(&j->spec) ? COLLECT_INPUT_ORDER : COLLECT_COMPLETION_ORDER;
}

void job_start(struct job *j)
{
    const struct jobs_config *config = j->jobs->config;
    answer_buffer_init(&j->answers, answers_order(j), (size_t)config->result_memory_bytes, &j->jobs->answer_memory,
                       &j->jobs->spill);
    job_move(j, JOB_RUNNING);
    if (j->submission.exchange) http_exchange_set_header(j->submission.exchange, HEADER_JOB, j->id);
    phase_start(&j->phase, j, answer_buffer_sink(&j->answers));
    if (j->submission.state == SUBMISSION_WHOLE) phase_no_more_items(&j->phase);
    if (j->cancel_reason) note_cancel(j);
    job_open_answers(j);
}

struct job *job_new_kept(struct jobs *jobs, const char *id, struct jobspec *spec, const struct job_keeper *keeper)
{
    struct job *j = job_with_id(jobs, id);
    j->keeper = keeper;
    j->is_kept = true;
    trace_scope_resume(&j->trace, jobs->trace, keeper->traceparent, keeper->tracestate);
    j->spec = *spec;
    *spec = (struct jobspec){0};
    j->submission.job = j;
    j->submission.state = SUBMISSION_WHOLE;
    job_move(j, JOB_RUNNING);
    phase_start(&j->phase, j, keeper->answers);
    return j;
}

void job_keeper_changed(struct job *j)
{
    job_pause_or_resume(j);
}

void job_let_go(struct job *j)
{
    j->keeper = NULL;
    free_when_over(j);
}

void job_refuse(struct job *j, int status, const char *members, const char *detail_fmt, ...)
{
    char detail[512];
    va_list args;
    va_start(args, detail_fmt);
    vsnprintf(detail, sizeof detail, detail_fmt, args);
    va_end(args);
    encoding_drop_cut(detail);
    submission_refuse(&j->submission, status, members, detail);
    if (j->state == JOB_NEW || j->state == JOB_ASKING) job_move(j, JOB_REFUSED);
    job_cancel(j, SCHED_CANCELLED, "the request was refused");
}

const char *job_pointer_member(struct buf *b, const char *pointer)
{
    buf_clear(b);
    buf_add_str(b, "\"pointer\":");
    buf_add_json_string(b, pointer, strlen(pointer));
    return buf_cstr(b);
}

/* The readers of a job. */

/* Returns the next reader, or the first one when r is NULL. Returns NULL if r is the last reader. */
static struct reader *next_reader(const struct job *j, const struct reader *r)
{
    struct list_link *next = list_next(&j->readers, r ? &r->link : NULL);
    return next ? CONTAINER_OF(next, struct reader, link) : NULL;
}

bool job_is_reduced(const struct job *j)
{
    return j->spec.reduce != REDUCE_NONE;
}

/* Makes the job fail. If the job fails again, the first failure counts. */
static void fail(struct job *j, const char *why, bool disk)
{
    if (!j->failure[0]) {
        snprintf(j->failure, sizeof j->failure, "%s", why);
        encoding_drop_cut(j->failure);
        j->disk_failed = disk;
    }
    job_cancel(j, SCHED_FAILED, j->failure);
}

void job_fail_to_keep(struct job *j, const struct answer_sink *sink)
{
    char why[sizeof j->failure];
    sink->ops->explain(sink->sink, why, sizeof why);
    fail(j, why, true);
}

void job_fail_for_task(struct job *j, const char *why)
{
    fail(j, why, false);
}

void job_fail_for_memory(struct job *j)
{
    fail(j, "the coordinator has reached its memory limit, and an answer needs more memory", false);
}

bool job_has_all_answers(const struct job *j)
{
    return j->state == JOB_ENDED && !j->folds_more;
}

/* Folds about FOLD_BYTES of answers at most. Many answers may become readable at the same time, for example after a
 * slow first item, so they are folded in several turns of the loop. */
static void fold_answers(struct job *j)
{
    char why[sizeof j->failure];
    enum fold_status status = fold_advance(&j->fold, FOLD_BYTES);
    set_folds_more(j, status == FOLD_MORE || status == FOLD_NO_MEMORY);
    if (status == FOLD_OK || status == FOLD_MORE) return;
    fold_explain(&j->fold, status, why, sizeof why);
    fail(j, why, status == FOLD_SOURCE_FAILED || status == FOLD_DISK_FAILED);
}

static void finish_readers(struct job *j)
{
    for (struct reader *r = next_reader(j, NULL); r; r = next_reader(j, r)) reader_finish(r);
}

void job_fold_more(struct job *j)
{
    fold_answers(j);
    if (job_has_all_answers(j)) finish_readers(j);
}

void job_spill_later(struct job *j)
{
    set_spills_more(j, answer_buffer_spills(&j->answers));
}

void job_spill_more(struct job *j)
{
    const struct answer_sink sink = answer_buffer_sink(&j->answers);
    if (!answer_buffer_step(&j->answers)) job_fail_to_keep(j, &sink);
    job_spill_later(j);
    job_pause_or_resume(j);
}

static void begin_fold(struct job *j)
{
    const struct answer_source from = answer_buffer_source(&j->answers);
    fold_init(&j->fold, j->spec.reduce, &from, &j->jobs->spill);
    fold_answers(j);
}

void job_open_answers(struct job *j)
{
    bool started = j->state == JOB_RUNNING || j->state == JOB_ENDED;
    if (!started || j->submission.state != SUBMISSION_WHOLE) return;
    if (!j->readable && job_is_reduced(j)) begin_fold(j);
    j->readable = true;
    const struct answer_source source = job_is_reduced(j) ? fold_source(&j->fold) : answer_buffer_source(&j->answers);
    for (struct reader *r = next_reader(j, NULL); r; r = next_reader(j, r)) {
        if (r->source.ops) continue;
        if (j->waiting != SCHED_NOT_WAITING) reader_waiting(r);
        reader_open(r, &source);
    }
}

/* Tells the keeper and the readers that answers have arrived. Without a reader, no answer is folded, because nobody
 * could get the result. */
void job_answers_came(struct job *j)
{
    if (j->keeper) j->keeper->ops->answers_came(j->keeper->keeper);
    if (!j->readable || j->readers.n == 0) return;
    if (job_is_reduced(j) && !j->folds_more) fold_answers(j);
    for (struct reader *r = next_reader(j, NULL); r; r = next_reader(j, r)) reader_wake(r);
}

void job_set_waiting(struct job *j, enum sched_waiting why)
{
    j->waiting = why;
    if (why == SCHED_WAITING_NO_TASK)
        job_check_tasks_again(j);
    else
        job_tell_waiting(j);
}

void job_tell_waiting(struct job *j)
{
    if (j->keeper) j->keeper->ops->waiting_changed(j->keeper->keeper);
    if (j->waiting == SCHED_NOT_WAITING) return;
    for (struct reader *r = next_reader(j, NULL); r; r = next_reader(j, r)) reader_waiting(r);
}

/* The end of a job. */

static void report_outcome(struct job *j)
{
    char span_id[SPAN_ID_SIZE];
    const struct sched_counts *n = &j->outcome.counts;
    uint64_t took_ns = now_ns() - j->started_ns;
    jobs_count_items(j->jobs, n->succeeded, n->failed, n->cancelled);
    jobs_count_end(j->jobs, j->outcome.status, took_ns);
    log_info("job ended", LOG_STR("job", j->id), LOG_STR("status", sched_status_name(j->outcome.status)),
             LOG_STR("reason", j->outcome.reason), LOG_U64("items", n->total), LOG_U64("failed", n->failed),
             LOG_MS("duration_ms", took_ns), LOG_STR("trace_id", trace_scope_id(&j->trace)),
             LOG_STR("span_id", trace_scope_span_id(&j->trace, &j->trace.context, span_id)));
}

void job_phase_finished(struct job *j, const struct sched_outcome *outcome)
{
    job_move(j, JOB_ENDED);
    if (j->cancel_is_noted) list_remove(&j->jobs->cancels, &j->cancel_link);
    j->cancel_is_noted = false;
    j->outcome = *outcome;
    j->outcome.reason = job_reason(j, outcome->reason);
    if (!j->keeper) report_outcome(j);
    if (job_has_all_answers(j)) finish_readers(j);
    submission_job_ended(&j->submission);
    if (j->keeper) j->keeper->ops->finished(j->keeper->keeper);
    free_when_over(j);
}

static const char *public_state(const struct job *j)
{
    if (j->state == JOB_ENDED) return sched_status_name(j->outcome.status);
    return j->state == JOB_RUNNING ? "running" : "pending";
}

struct status_waiting job_waits_for(const struct job *j)
{
    if (j->waiting == SCHED_NOT_WAITING || !j->phase.sched) return (struct status_waiting){0};
    const char *unreached = j->jobs->fleet->connect_error.reason;
    const char *detail = unreached[0] ? unreached : NULL;
    if (j->waiting == SCHED_WAITING_NO_WORKERS) detail = worker_fleet_fault(j->jobs->fleet);
    if (j->waiting == SCHED_WAITING_NO_TASK) detail = j->task_fault;
    return (struct status_waiting){sched_waiting_name(j->waiting), detail, j->starting};
}

struct status_job job_status(const struct job *j)
{
    const struct sched_job *sched = j->phase.sched;
    return (struct status_job){
        .id = j->id,
        .state = public_state(j),
        .tasks = j->spec.tasks,
        .task_count = j->spec.task_count,
        .counts = sched ? sched_job_counts(sched) : j->outcome.counts,
        .eta_ns = sched ? sched_job_eta_ns(sched) : 0,
        .elapsed_ns = now_ns() - j->started_ns,
        .waiting = job_waits_for(j),
    };
}
