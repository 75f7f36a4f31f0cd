/* The beginning of a run: finds in the store which items have been answered or sent, then reads the options, and starts
 * the job. Also applies the options that are changed later. */
#include "common/observe/log.h"
#include "coordinator/durable/durable_run.h"
#include "coordinator/durable/stored_options.h"

enum { SORT_RANGES = 200000 }; /* in one turn of the loop, sorting moves this many ranges; this takes about 2 ms */

static struct sched_counts counts_before(const struct durable_run *r)
{
    struct stored_counts n = recorder_settled(&r->recorder);
    return (struct sched_counts){.total = range_list_total(&r->answered),
                                 .succeeded = n.succeeded,
                                 .failed = n.failed,
                                 .cancelled = n.cancelled,
                                 .retried = n.retried,
                                 .hedged = n.hedged};
}

/* Shortens the deadline by the age of the job, because the deadline runs from the creation of the job, by the clock of
 * the database. The deadline of a redriven job runs from its latest claim, so it is not shortened. */
static void shorten_deadline(struct jobspec *spec, const struct stored_job *job, int64_t now_ms)
{
    int64_t age_ms = job->redrives > 0 ? 0 : now_ms - job->created_ms;
    if (spec->deadline_s <= 0 || age_ms < 0) return;
    spec->deadline_s -= (double)age_ms / 1e3;
    if (spec->deadline_s < 1e-3) spec->deadline_s = 1e-3;
}

/* Applies the changes to the options in `spec`. If `runs` is true, `spec` has the options of the running job. If `runs`
 * is false, `spec` has just been read from the store. */
static void apply_changes(struct durable_run *r, struct jobspec *spec, bool runs)
{
    double deadline_s = spec->deadline_s;
    stored_options_change(spec, r->stored.changes);
    /* If the deadline of a running job is unchanged, it was already shortened when the job was claimed. */
    bool is_new = spec->deadline_s != deadline_s;
    if (!runs || is_new) shorten_deadline(spec, &r->stored, r->claimed_ms);
}

static bool is_same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

void durable_run_change(struct durable_run *r, const char *changes)
{
    if (is_same_text(r->stored.changes, changes)) return;
    free(r->stored.changes);
    r->stored.changes = changes ? xstrdup(changes) : NULL;
    if (r->state != RUN_RUNNING) return;
    apply_changes(r, &r->job->spec, true);
    phase_update(&r->job->phase);
}

/* Makes the job fail, because it cannot run at all. */
static void give_up(struct durable_run *r)
{
    log_error("a durable job cannot run", LOG_STR("job", r->stored.id), LOG_STR("error", r->failure));
    r->end_state = STORED_FAILED;
    run_set_end_reason(r, r->failure);
    run_items_settle_rest(r, ITEM_CANCELLED);
    durable_run_move(r, RUN_ENDING);
    run_record_flush(r);
}

/* Makes r->job. The job belongs to the trace of its submission. */
static void make_job(struct durable_run *r, struct jobspec *spec)
{
    struct buf traceparent = {0}, tracestate = {0};
    stored_options_read_trace(r->stored.options, &traceparent, &tracestate);
    r->keeper.traceparent = traceparent.len ? buf_cstr(&traceparent) : NULL;
    r->keeper.tracestate = tracestate.len ? buf_cstr(&tracestate) : NULL;
    r->job = job_new_kept(r->durable->jobs, r->stored.id, spec, &r->keeper);
    r->keeper.traceparent = r->keeper.tracestate = NULL;
    buf_release(&traceparent);
    buf_release(&tracestate);
}

static void begin(struct durable_run *r)
{
    struct jobspec spec = {0};
    if (!stored_options_read(r->stored.options, &spec, &r->keeper.idempotent, r->failure, sizeof r->failure)) {
        jobspec_release(&spec);
        run_items_prepare(r);
        give_up(r);
        return;
    }
    r->generated = spec.source == SOURCE_RANGE || spec.source == SOURCE_SPANS;
    run_items_prepare(r);
    apply_changes(r, &spec, false);
    r->keeper.ops = &run_keeper_ops;
    r->keeper.keeper = r;
    r->keeper.items = stored_items_source(&r->items);
    r->keeper.answers = recorder_sink(&r->recorder);
    r->keeper.before = counts_before(r);
    durable_run_move(r, RUN_RUNNING);
    r->reduce = spec.reduce;
    spec.reduce = REDUCE_NONE; /* the run reduces the recorded values, because the job itself keeps no answers */
    make_job(r, &spec);
    run_items_begin(r);
    if (r->cancelling) job_cancel(r->job, SCHED_CANCELLED, STORED_CANCELLED_BY_CLIENT);
    run_items_supply(r);
}

/* Sorts more of the answered ranges. When all ranges are sorted, begins to run the job. */
static void sort_and_begin(struct durable_run *r)
{
    bool sorted = range_sort_step(&r->sort, SORT_RANGES);
    sorted ? begin(r) : durable_tick_soon(r->durable);
}

void run_begin_go_on(struct durable_run *r)
{
    if (r->state == RUN_LOADING && r->sort.list) sort_and_begin(r);
}

static void note_block(struct durable_run *r, const struct block *b)
{
    for (size_t i = 0; i < b->range_count; i++) {
        const struct block_range *range = &b->ranges[i];
        if (b->kind == BLOCK_VALUES || b->kind == BLOCK_ERRORS) range_list_add(&r->answered, range->first, range->n);
        if (b->kind == BLOCK_SENT) range_list_add(&r->sent, range->first, range->n);
        if (b->kind == BLOCK_UNSENT) {
            range_list_sort(&r->sent);
            range_list_remove(&r->sent, range->first, range->n);
        }
        if (b->kind != BLOCK_ITEMS) continue;
        if ((r->block_count & (r->block_count - 1)) == 0)
            r->blocks = xrealloc(r->blocks, (r->block_count ? 2 * r->block_count : 1) * sizeof *r->blocks);
        r->blocks[r->block_count++] = (struct item_block){b->number, range->first, range->n};
    }
}

static void note_blocks(struct durable_run *r, const struct store_call *call)
{
    for (size_t i = 0; i < call->block_count; i++) {
        note_block(r, &call->blocks[i]);
        r->newest_block = call->blocks[i].number;
    }
}

static void on_ranges(struct store_call *call)
{
    struct durable_run *r = call->data;
    if (call->status == STORE_BROKEN && r->state == RUN_LOADING) {
        snprintf(r->failure, sizeof r->failure, "%s", call->error);
        run_call_free(&r->reading);
        give_up(r);
        return;
    }
    if (!run_call_succeeded(r, &r->reading)) return;
    note_blocks(r, call);
    bool more = call->more;
    run_call_free(&r->reading);
    if (r->state != RUN_LOADING) return;
    if (!more) {
        range_sort_begin(&r->sort, &r->answered);
        sort_and_begin(r);
        return;
    }
    r->reading.call = run_call_new(r, STORE_READ_RANGES, on_ranges);
    r->reading.call->block.number = r->newest_block;
    run_call_start(r, &r->reading);
}

/* Takes the blocks of a small job. */
static void take_whole(struct durable_run *r, struct store_call *claim)
{
    note_blocks(r, claim);
    r->whole = claim->blocks;
    r->whole_count = claim->block_count;
    claim->blocks = NULL;
    claim->block_count = 0;
    for (size_t i = 0; i < r->whole_count; i++)
        if (r->whole[i].kind != BLOCK_ITEMS) buf_release(&r->whole[i].lines);
    range_sort_begin(&r->sort, &r->answered);
    durable_begin_soon(r->durable);
}

void durable_run_new(struct durable *d, struct store_call *claim)
{
    struct durable_run *r = xcalloc(1, sizeof *r);
    r->durable = d;
    r->stored = claim->found;
    claim->found = (struct stored_job){0};
    r->claimed_ms = claim->now_ms;
    r->claimed_ns = r->renewed_ns = now_ns();
    r->cancelling = r->stored.cancel_wanted;
    r->reported = r->stored.counts;
    list_push_back(&d->runs, &r->link);
    recorder_resume(&r->recorder, &r->stored);
    if (claim->whole) {
        take_whole(r, claim);
        return;
    }
    r->reading.call = run_call_new(r, STORE_READ_RANGES, on_ranges);
    run_call_start(r, &r->reading);
}
