/* Records the answers and the end of a durable run in the store. */
#include "common/observe/log.h"
#include "common/observe/metrics.h"
#include "coordinator/durable/durable_run.h"

/* Answers are recorded when they reach BLOCK_BYTES, or when the first one has waited for FIRST_WAIT_MS. In a busy run,
 * the first answer waits for WAIT_MS instead. */
enum { BLOCK_BYTES = 1024 * 1024, FIRST_WAIT_MS = 20, WAIT_MS = 200 };
/* No new items are sent while this many bytes wait for the store. The limit is lower if the answers of other jobs fill
 * the memory for answers. */
enum { BEHIND_BYTES = 8 * 1024 * 1024 };

/* If there is no memory for an answer, the job rests for REST_MS and then tries again. If there is still no memory
 * after STARVED_MS, the job fails. */
enum { REST_MS = 1000, STARVED_MS = 60000 };

static size_t held_bytes(const struct durable_run *r)
{
    return recorder_bytes(&r->recorder) + r->writing_bytes;
}

bool run_record_is_behind(const struct durable_run *r)
{
    return held_bytes(r) > memory_budget_share(&r->durable->jobs->answer_memory, BEHIND_BYTES);
}

bool run_record_lacks_memory(struct durable_run *r)
{
    uint64_t now = now_ns();
    if (!r->starved_ns) {
        r->starved_ns = now;
        log_warn("a durable job waits until there is memory for its answers", LOG_STR("job", r->stored.id));
    }
    if (now - r->starved_ns > STARVED_MS * NS_PER_MS) return false;
    r->rests = true;
    r->rests_until_ns = now + REST_MS * NS_PER_MS;
    return true;
}

void run_record_end_rest(struct durable_run *r, uint64_t now)
{
    if (!r->rests || now < r->rests_until_ns) return;
    r->rests = false;
    if (r->state == RUN_RUNNING) job_keeper_changed(r->job);
}

/* Charges the memory of the answers to the budget that all jobs share. */
static void count_memory(struct durable_run *r)
{
    size_t held = held_bytes(r);
    memory_budget_count(&r->durable->jobs->answer_memory, held, r->counted_answers);
    r->counted_answers = held;
}

void run_record_release(struct durable_run *r)
{
    recorder_release(&r->recorder);
    r->writing_bytes = 0;
    count_memory(r);
}

/* Returns whether the collected answers must be recorded now. A run that has recorded nothing for a while records its
 * answers soon. A busy run collects answers for longer. */
static bool is_due(const struct durable_run *r)
{
    uint64_t now = now_ns();
    bool is_busy = r->recorded_ns > 0 && r->collected_ns < r->recorded_ns + 2 * WAIT_MS * NS_PER_MS;
    uint64_t wait_ms = is_busy ? WAIT_MS : FIRST_WAIT_MS;
    return now - r->collected_ns >= wait_ms * NS_PER_MS || recorder_bytes(&r->recorder) >= BLOCK_BYTES ||
           run_record_is_behind(r);
}

void run_record_collected(struct durable_run *r)
{
    if (r->recorder.closed) return;
    if (!r->collected_ns) {
        r->collected_ns = now_ns();
        durable_tick_soon(r->durable);
    }
    count_memory(r);
    if (recorder_bytes(&r->recorder) >= BLOCK_BYTES || run_record_is_behind(r)) run_record_flush(r);
}

struct stored_counts run_record_counts(const struct durable_run *r)
{
    struct stored_counts counts = r->recorder.counts;
    if (!r->job) return counts;
    struct sched_counts n = r->job->phase.sched ? sched_job_counts(r->job->phase.sched) : r->job->outcome.counts;
    counts.retried = n.retried;
    counts.hedged = n.hedged;
    return counts;
}

static void set_counts(struct durable_run *r, struct stored_job *job)
{
    job->counts = run_record_counts(r);
    free(job->errors);
    job->errors = recorder_errors_json(&r->recorder);
}

/* Counts each answer once: when it is in the store, and not when the scheduler reports it. */
static void report_items(struct durable_run *r, const struct stored_counts *now)
{
    const struct stored_counts *before = &r->reported;
    jobs_count_items(r->durable->jobs, now->succeeded - before->succeeded, now->failed - before->failed,
                     now->cancelled - before->cancelled);
    r->reported = *now;
}

/* Call it when the block of the call `writing` is in the store. The caller becomes the owner of the call. */
static void note_written(struct durable_run *r, const struct store_call *call)
{
    *r->durable->metrics.recorded += call->block.lines.len;
    report_items(r, &call->job.counts);
    r->writing = (struct run_call){0};
    r->writing_bytes = 0;
    count_memory(r);
}

static void report_end(struct durable_run *r)
{
    const struct stored_counts *n = &r->reported;
    const struct trace_scope *trace = r->job ? &r->job->trace : NULL;
    char span_id[SPAN_ID_SIZE];
    uint64_t took_ns = durable_age_ns(&r->stored, r->claimed_ms) + now_ns() - r->claimed_ns;
    jobs_count_end(r->durable->jobs, durable_status_of(r->end_state), took_ns);
    log_info("job ended", LOG_STR("job", r->stored.id), LOG_STR("status", stored_state_name(r->end_state)),
             LOG_STR("reason", r->end_reason[0] ? r->end_reason : NULL), LOG_U64("items", r->stored.items),
             LOG_U64("failed", n->failed), LOG_MS("duration_ms", took_ns),
             LOG_STR("trace_id", trace ? trace_scope_id(trace) : NULL),
             LOG_STR("span_id", trace ? trace_scope_span_id(trace, &trace->context, span_id) : NULL));
}

/* If the last block has all answers of the job, gives the job and the block to the clients that wait. So these clients
 * need not read the job from the store. */
static void give_whole(const struct durable_run *r, struct store_call *end)
{
    uint64_t answers = 0;
    struct block *b = &end->block;
    for (size_t i = 0; i < b->range_count; i++) answers += b->ranges[i].n;
    if (!r->durable->ended_whole || answers != r->stored.items || b->lines.len > STORE_WHOLE_BYTES) return;
    free(end->found.options);
    free(end->found.result);
    end->found.options = r->stored.options ? xstrdup(r->stored.options) : NULL;
    end->found.result = end->job.result ? xstrdup(end->job.result) : NULL;
    end->blocks = xcalloc(1, sizeof *end->blocks);
    end->block_count = 1;
    end->blocks[0] = *b;
    *b = (struct block){0};
    end->whole = true;
    r->durable->ended_whole(r->durable->data, end);
}

static void on_end(struct store_call *call)
{
    struct durable_run *r = call->data;
    struct durable *d = r->durable;
    bool has_ended = call->op == STORE_END;
    if (!run_call_succeeded(r, &r->writing)) return;
    note_written(r, call);
    durable_run_move(r, RUN_OVER);
    if (has_ended) give_whole(r, call);
    if (has_ended)
        report_end(r);
    else
        log_info("a durable job was handed back", LOG_STR("job", r->stored.id));
    if (has_ended && d->ended) d->ended(d->data);
    d->changed(d->data, r->stored.id);
    store_call_free(call);
}

/* Records the end of the job, or hands the job back. The last block is recorded by the same call, because a second call
 * would wait for the disk again. */
static void write_end(struct durable_run *r, const struct block *last)
{
    r->writing.call = run_call_new(r, r->handing_back ? STORE_HAND_BACK : STORE_END, on_end);
    r->writing.call->block = *last;
    r->writing_bytes = last->lines.len;
    struct stored_job *job = &r->writing.call->job;
    set_counts(r, job);
    job->state = r->end_state;
    if (r->end_reason[0]) job->reason = xstrndup(r->end_reason, strlen(r->end_reason));
    job->result = r->result;
    r->result = NULL;
    run_call_start(r, &r->writing);
}

static void on_written(struct store_call *call)
{
    struct durable_run *r = call->data;
    if (!run_call_succeeded(r, &r->writing)) return;
    note_written(r, call);
    store_call_free(call);
    r->recorded_ns = now_ns();
    r->starved_ns = 0;
    r->durable->changed(r->durable->data, r->stored.id);
    run_record_flush(r);
    if (r->state == RUN_RUNNING) job_keeper_changed(r->job);
}

static void write_block(struct durable_run *r, struct block *b)
{
    r->writing.call = run_call_new(r, STORE_ADD_BLOCK, on_written);
    r->writing.call->block = *b;
    r->writing_bytes = b->lines.len;
    set_counts(r, &r->writing.call->job);
    run_call_start(r, &r->writing);
}

/* Records which of the items that were recorded as sent have not been sent. Items that are recorded as unsent can run
 * after the next claim. */
static void write_unsent(struct durable_run *r)
{
    struct block b = {.kind = BLOCK_UNSENT, .range_count = r->unsent.count};
    b.ranges = xcalloc(b.range_count, sizeof *b.ranges);
    for (size_t i = 0; i < b.range_count; i++)
        b.ranges[i] = (struct block_range){r->unsent.ranges[i].first, r->unsent.ranges[i].n, false};
    range_list_release(&r->unsent);
    write_block(r, &b);
}

void run_record_flush(struct durable_run *r)
{
    struct block b = {0};
    bool ending = r->state == RUN_ENDING;
    if (r->writing.call || r->lost || (r->state != RUN_RUNNING && !ending)) return;
    if (r->collected_ns && !ending && !is_due(r)) return;
    if (r->settling && recorder_bytes(&r->recorder) < BLOCK_BYTES) run_items_settle_some(r);
    bool has_block = recorder_take(&r->recorder, &b);
    bool is_last =
        ending && !r->handing_back && !r->settling && recorder_bytes(&r->recorder) == 0 && !run_reduce_is_due(r);
    if (has_block && is_last && r->unsent.count == 0) {
        write_end(r, &b);
    } else if (has_block) {
        if (recorder_bytes(&r->recorder) == 0) r->collected_ns = 0;
        write_block(r, &b);
    } else if (ending && r->handing_back && r->marking.call) {
        return; /* the items of the `marking` call are added to r->unsent when it is done */
    } else if (ending && r->unsent.count > 0) {
        write_unsent(r);
    } else if (run_reduce_is_due(r)) {
        run_reduce_go_on(r);
    } else if (ending) {
        write_end(r, &b);
    } else {
        r->collected_ns = 0;
    }
}
