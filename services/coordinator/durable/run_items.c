/* Finds the items of a durable run that have no answer yet, and makes them ready for the scheduler. */
#include <stdarg.h>

#include "common/base/limits.h"
#include "common/base/memory_room.h"
#include "common/observe/log.h"
#include "coordinator/answers/item_error.h"
#include "coordinator/durable/durable_run.h"
#include "coordinator/items/splitter.h"
#include "coordinator/sched/sched_stats.h"

/* While the run holds items of this many bytes, it reads no further items from the store. */
enum { READ_AHEAD_BYTES = 4 * 1024 * 1024 };
/* The run also reads no further items while enough items are in flight: at least FLIGHT_BYTES, and at least SLOT_CHUNKS
 * full chunks for each slot. Up to 48 chunks of quick items are in flight to one worker, and the coordinator holds the
 * items of all these chunks. */
enum { FLIGHT_BYTES = 6 * 1024 * 1024, SLOT_CHUNKS = 2 };
/* Each range of items that the run holds counts as this many further bytes. This limits the number of ranges, because
 * the scheduler needs time for each of them when the job ends. */
enum { RANGE_BYTES = 256 };
/* Items of a task that is not idempotent are recorded as sent before they are sent. If the coordinator dies after that,
 * it is unknown whether these items ran. So at most this many items are recorded at a time. */
enum { MARK_ITEMS = 64, MARK_BYTES = 1024 * 1024 };

/* When a job has ended, its remaining items get errors. At most this many ranges of items get errors in one turn of the
 * loop. A redriven job can have a million ranges, and other requests must not wait for all of them. */
enum { SETTLE_RANGES = 2000 };

static const char may_have_run[] = "the coordinator stopped while the item may have been running; it is not known "
                                   "whether the item ran, and its task must not run an item twice";

static int compare_blocks(const void *a, const void *b)
{
    const struct item_block *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

static void add_error(struct durable_run *r, uint64_t first, uint64_t n, enum item_error error, const char *cause)
{
    struct buf line = {0};
    struct answer_sink sink = recorder_sink(&r->recorder);
    item_error_write_own(&line, error, cause, 0, false);
    if (n > 0 && !sink.ops->add_repeated(sink.sink, first, n, line.data, line.len)) BUG("a recorder refused");
    buf_release(&line);
}

/* Items that were recorded as sent and have no answer must not run again. So these items get an error. */
static void settle_sent(struct durable_run *r)
{
    struct range_list unknown = {0};
    range_list_intersect(&r->sent, &r->missing, &unknown);
    for (size_t i = 0; i < unknown.count; i++) {
        add_error(r, unknown.ranges[i].first, unknown.ranges[i].n, ITEM_WORKER_LOST, may_have_run);
    }
    if (unknown.count) {
        range_list_merge(&r->answered, &unknown);
        range_list_release(&r->missing);
        range_list_gaps(&r->answered, r->stored.items, &r->missing);
    }
    range_list_release(&unknown);
}

void run_items_prepare(struct durable_run *r)
{
    range_list_sort(&r->sent);
    range_list_gaps(&r->answered, r->stored.items, &r->missing);
    settle_sent(r);
    if (r->block_count > 1) qsort(r->blocks, r->block_count, sizeof *r->blocks, compare_blocks);
}

/* Charges the memory of the items to the budget that all jobs share. */
static void count_memory(struct durable_run *r)
{
    size_t held = (size_t)(r->items.spool.bytes + r->staged.spool.bytes) + r->marked_lines.len;
    memory_budget_count(&r->durable->jobs->item_memory, held, r->counted_items);
    r->counted_items = held;
}

static void drop_whole(struct durable_run *r)
{
    for (size_t i = 0; i < r->whole_count; i++) block_release(&r->whole[i]);
    free(r->whole);
    r->whole = NULL;
    r->whole_count = 0;
}

void run_items_release(struct durable_run *r)
{
    range_sort_release(&r->sort);
    range_list_release(&r->answered);
    range_list_release(&r->sent);
    range_list_release(&r->missing);
    stored_items_release(&r->items);
    stored_items_release(&r->staged);
    range_list_release(&r->unsent);
    buf_release(&r->marked_lines);
    drop_whole(r);
    free(r->blocks);
    count_memory(r);
}

/* Makes items ready for the scheduler. */

/* Makes n items ready. `lines` is NULL for generated items. With at_most_once, all items go to `staged` first,
 * including generated items. */
static void make_ready(struct durable_run *r, uint64_t first, uint64_t n, struct buf *lines)
{
    size_t bytes = lines ? lines->len : 16 * n; /* a generated item is about this long */
    if (r->at_most_once) {
        if (lines)
            stored_items_ready_lines(&r->staged, first, n, lines);
        else
            stored_items_ready(&r->staged, first, n);
        return;
    }
    if (lines)
        stored_items_ready_lines(&r->items, first, n, lines);
    else
        stored_items_ready(&r->items, first, n);
    phase_offer(&r->job->phase, n, bytes);
}

static void on_marked(struct store_call *call)
{
    struct durable_run *r = call->data;
    if (!run_call_succeeded(r, &r->marking)) return;
    struct index_range marked = r->marked;
    size_t bytes = r->marked_lines.len;
    run_call_free(&r->marking);
    r->marked = (struct index_range){0};
    if (r->state == RUN_RUNNING && !r->handing_back && marked.n > 0) {
        stored_items_ready_lines(&r->items, marked.first, marked.n, &r->marked_lines);
        phase_offer(&r->job->phase, marked.n, bytes);
    }
    buf_release(&r->marked_lines);
    if (r->handing_back) {
        range_list_add(&r->unsent, marked.first, marked.n);
        run_record_flush(r);
    } else
        run_items_supply(r);
}

void run_items_note_unsent(struct durable_run *r)
{
    if (r->at_most_once) r->recorder.unsent = &r->unsent;
}

/* Returns whether this coordinator is about to stop running the job. A run that is about to stop needs no more
 * items. */
static bool is_stopping(const struct durable_run *r)
{
    return r->drain_ns > 0 || r->handing_back || r->cancelling || r->failure[0];
}

/* With at_most_once, items are recorded as sent before the scheduler gets them. If fewer than MARK_ITEMS / 2 recorded
 * items still wait for the scheduler, this function starts to record the next staged items. */
static void mark(struct durable_run *r)
{
    if (!r->at_most_once || r->undescribed || is_stopping(r) || r->marking.call ||
        r->items.spool.items >= MARK_ITEMS / 2)
        return;
    struct item_source staged = stored_items_source(&r->staged);
    r->marked.n = item_source_cut(&staged, MARK_ITEMS, MARK_BYTES, &r->marked.first, &r->marked_lines);
    if (r->marked.n == 0) return;
    r->marking.call = run_call_new(r, STORE_ADD_BLOCK, on_marked);
    struct block *b = &r->marking.call->block;
    b->kind = BLOCK_SENT;
    b->ranges = xcalloc(1, sizeof *b->ranges);
    b->ranges[0] = (struct block_range){r->marked.first, r->marked.n, false};
    b->range_count = 1;
    run_call_start(r, &r->marking);
}

/* The items of a block. */

/* Returns the index of the next item to be made ready; UINT64_MAX when there is none. */
static uint64_t next_missing(const struct durable_run *r)
{
    if (r->missing_at == r->missing.count) return UINT64_MAX;
    return r->missing.ranges[r->missing_at].first + r->missing_taken;
}

static void take_missing(struct durable_run *r, uint64_t n)
{
    r->missing_taken += n;
    if (r->missing_taken < r->missing.ranges[r->missing_at].n) return;
    r->missing_at++;
    r->missing_taken = 0;
}

static void fail(struct durable_run *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Makes the job fail because some of its items cannot be read from the store. */
static void fail(struct durable_run *r, const char *fmt, ...)
{
    va_list args;
    if (r->failure[0]) return;
    va_start(args, fmt);
    vsnprintf(r->failure, sizeof r->failure, fmt, args);
    va_end(args);
    log_error("a durable job cannot continue", LOG_STR("job", r->stored.id), LOG_STR("error", r->failure));
    job_cancel(r->job, SCHED_FAILED, r->failure);
}

/* Returns whether no item of the block has an answer or has been made ready before. If the result is true, the lines of
 * the block need not be copied. */
static bool is_all_missing(const struct durable_run *r, uint64_t first, uint64_t n)
{
    if (next_missing(r) != first) return false;
    const struct index_range *range = &r->missing.ranges[r->missing_at];
    return range->first + range->n >= first + n;
}

/* Makes the unanswered items of the block ready. */
static void take_block(struct durable_run *r, uint64_t first, uint64_t n, struct buf *lines)
{
    uint64_t at = first, counted;
    size_t offset = 0;
    if (is_all_missing(r, first, n) && lines_cut(lines->data, lines->len, n, SIZE_MAX, &counted) == lines->len &&
        counted == n) {
        make_ready(r, first, n, lines);
        take_missing(r, n);
        return;
    }
    for (uint64_t next; (next = next_missing(r)) < first + n;) {
        const struct index_range *range = &r->missing.ranges[r->missing_at];
        uint64_t end = range->first + range->n < first + n ? range->first + range->n : first + n;
        if (next > at) offset += lines_cut(lines->data + offset, lines->len - offset, next - at, SIZE_MAX, &counted);
        size_t len = lines_cut(lines->data + offset, lines->len - offset, end - next, SIZE_MAX, &counted);
        if (counted != end - next) {
            fail(r, "the block of item %llu (index %llu) has too few items", (unsigned long long)next + 1,
                 (unsigned long long)next);
            return;
        }
        struct buf part = {0};
        buf_add(&part, lines->data + offset, len);
        make_ready(r, next, end - next, &part);
        buf_release(&part);
        offset += len;
        at = end;
        take_missing(r, end - next);
    }
}

static void on_block(struct store_call *call)
{
    struct durable_run *r = call->data;
    bool is_damaged = call->status == STORE_BROKEN || call->status == STORE_NOT_FOUND;
    if (is_damaged) {
        if (r->state == RUN_RUNNING) fail(r, "%s", call->error);
        run_call_free(&r->reading);
        return;
    }
    if (!run_call_succeeded(r, &r->reading)) return;
    const struct item_block *b = &r->blocks[r->block_at];
    struct buf *lines = &call->block.lines;
    if (r->state == RUN_RUNNING && !is_all_missing(r, b->first, b->n) && !memory_has_room(lines->len)) {
        run_call_free(&r->reading); /* the next tick reads the block again */
        return;
    }
    r->block_at++;
    r->read_items += b->n;
    r->read_bytes += lines->len;
    if (r->state == RUN_RUNNING) take_block(r, b->first, b->n, lines);
    run_call_free(&r->reading);
    run_items_supply(r);
}

/* Returns whether the run holds fewer bytes of items than `bytes`. If the memory for all jobs is short, the limit is
 * lower than `bytes`. */
static bool holds_less(const struct durable_run *r, size_t bytes)
{
    size_t held = (size_t)(r->items.spool.bytes + r->staged.spool.bytes) +
                  RANGE_BYTES * (stored_items_ranges(&r->items) + stored_items_ranges(&r->staged));
    return held < jobs_item_share(r->durable->jobs, bytes);
}

/* Sets r->block_at to the block of this item. If the store has no such block, makes the job fail and returns false. */
static bool find_block(struct durable_run *r, uint64_t item)
{
    while (r->block_at < r->block_count && r->blocks[r->block_at].first + r->blocks[r->block_at].n <= item)
        r->block_at++;
    if (r->block_at < r->block_count && r->blocks[r->block_at].first <= item) return true;
    fail(r, "item %llu (index %llu) is missing in the job store", (unsigned long long)item + 1,
         (unsigned long long)item);
    return false;
}

/* Makes all items of a small job ready. If the coordinator generates the items, the store has no blocks of items. */
static void ready_whole(struct durable_run *r)
{
    if (!r->whole || is_stopping(r)) return;
    for (uint64_t next; !r->generated && (next = next_missing(r)) != UINT64_MAX && find_block(r, next);) {
        const struct item_block *b = &r->blocks[r->block_at++];
        for (size_t i = 0; i < r->whole_count; i++)
            if (r->whole[i].number == b->number) take_block(r, b->first, b->n, &r->whole[i].lines);
        if (r->failure[0]) break;
    }
    drop_whole(r);
}

static bool has_enough_in_flight(const struct durable_run *r)
{
    struct sched_task_stats stats = {0};
    const struct sched_job *sched = r->job->phase.sched;
    uint64_t item_bytes = r->read_items > 0 ? r->read_bytes / r->read_items : 0;
    uint64_t bytes = sched ? sched_job_in_flight(sched) * item_bytes : 0;
    if (bytes < FLIGHT_BYTES) return false;
    uint64_t chunk_bytes = item_bytes > DEFAULT_MAX_CHUNK_BYTES ? item_bytes : DEFAULT_MAX_CHUNK_BYTES;
    bool is_known = sched_task_stats(r->durable->jobs->turn->scheduler, r->stored.task, &stats);
    /* One worker may hold all items in flight. If that worker is stuck, idle workers must still get items. */
    return !is_known || (stats.idle == 0 && bytes >= SLOT_CHUNKS * stats.slots * chunk_bytes);
}

static void read_ahead(struct durable_run *r)
{
    uint64_t next = next_missing(r);
    if (r->generated || r->whole || r->reading.call || next == UINT64_MAX || is_stopping(r)) return;
    r->has_enough = has_enough_in_flight(r);
    if (r->has_enough || !holds_less(r, READ_AHEAD_BYTES) || !find_block(r, next)) return;
    if (!memory_has_room(LIMIT_RECORDED_BYTES)) return; /* the next tick tries again */
    r->reading.call = run_call_new(r, STORE_READ_BLOCK, on_block);
    r->reading.call->block.number = r->blocks[r->block_at].number;
    run_call_start(r, &r->reading);
}

void run_items_taken(struct durable_run *r)
{
    count_memory(r);
    if (r->state != RUN_RUNNING || r->lost) return;
    /* Only the next tick can make more ranges ready, because the scheduler may be running. */
    if (r->generated && next_missing(r) != UINT64_MAX && holds_less(r, READ_AHEAD_BYTES / 2))
        durable_tick_soon(r->durable);
    read_ahead(r);
    mark(r);
}

/* Returns whether the items must not run twice. */

static bool must_not_run_twice(const struct durable_run *r)
{
    return phase_idempotency(&r->job->phase) == IDEMPOTENCY_NO;
}

void run_items_begin(struct durable_run *r)
{
    r->undescribed = !r->job->phase.knows_tasks && !must_not_run_twice(r);
    r->at_most_once = r->undescribed || must_not_run_twice(r);
    struct stored_items *source = r->at_most_once ? &r->staged : &r->items;
    if (r->generated) source->generated = &r->job->spec;
}

/* Makes the staged items ready without recording them as sent. Call it when it has become known that the items may run
 * twice. */
static void unstage(struct durable_run *r)
{
    uint64_t n = r->staged.left;
    size_t bytes = r->generated ? 16 * n : (size_t)r->staged.spool.bytes;
    r->at_most_once = false;
    stored_items_release(&r->items);
    r->items = r->staged;
    r->staged = (struct stored_items){0};
    if (n > 0) phase_offer(&r->job->phase, n, bytes);
}

static void learn_tasks(struct durable_run *r)
{
    phase_learn_tasks(&r->job->phase);
    r->undescribed = !r->job->phase.knows_tasks;
    if (!r->undescribed && !must_not_run_twice(r)) unstage(r);
}

/* Makes ranges of generated items ready until the run holds READ_AHEAD_BYTES. Not all ranges are made ready at once,
 * because a redriven job can have a million of them. */
static void ready_generated(struct durable_run *r)
{
    while (next_missing(r) != UINT64_MAX && holds_less(r, READ_AHEAD_BYTES)) {
        uint64_t n = r->missing.ranges[r->missing_at].n;
        make_ready(r, next_missing(r), n, NULL);
        take_missing(r, n);
    }
}

static bool has_staged(const struct durable_run *r)
{
    return r->staged.at < r->staged.ready.count;
}

void run_items_supply(struct durable_run *r)
{
    if (r->state != RUN_RUNNING || r->all_ready) return;
    if (r->undescribed) learn_tasks(r);
    if (r->generated) ready_generated(r);
    ready_whole(r);
    run_items_taken(r);
    sched_job_expect(r->job->phase.sched, r->staged.left + r->marked.n, r->undescribed);
    if (next_missing(r) != UINT64_MAX || has_staged(r) || r->marking.call) return;
    r->all_ready = true;
    phase_no_more_items(&r->job->phase);
}

/* Takes the next items that the scheduler has not taken. Returns false if there are none. */
static bool take_rest(struct durable_run *r, uint64_t *first, uint64_t *n)
{
    struct item_source staged = stored_items_source(&r->staged), items = stored_items_source(&r->items);
    if ((*n = item_source_drop(&items, UINT64_MAX, first)) > 0) return true;
    if ((*n = item_source_drop(&staged, UINT64_MAX, first)) > 0) return true;
    if ((*first = next_missing(r)) == UINT64_MAX) return false;
    *n = r->missing.ranges[r->missing_at].n - r->missing_taken;
    take_missing(r, *n);
    return true;
}

static const char *cause_of_rest(const struct durable_run *r)
{
    if (r->failure[0]) return r->failure;
    return r->end_reason[0] ? r->end_reason : "the job ended";
}

void run_items_settle_some(struct durable_run *r)
{
    struct answer_sink sink = recorder_sink(&r->recorder);
    struct buf line = {0};
    uint64_t first, n;
    item_error_write_own(&line, r->rest_error, cause_of_rest(r), 0, false);
    for (int i = 0; r->settling && i < SETTLE_RANGES; i++) {
        if (!take_rest(r, &first, &n))
            r->settling = false;
        else if (!sink.ops->add_repeated(sink.sink, first, n, line.data, line.len))
            BUG("a recorder refused");
    }
    buf_release(&line);
}

void run_items_settle_rest(struct durable_run *r, enum item_error error)
{
    uint64_t first, n;
    struct item_source items = stored_items_source(&r->items);
    r->rest_error = error;
    r->settling = true;
    /* With at_most_once, few items are left in this source: those that are recorded as sent but were not sent. This
     * coordinator may end before it has added the errors of all other items, so the errors of these few items are added
     * first. */
    while (r->at_most_once && (n = item_source_drop(&items, UINT64_MAX, &first)) > 0)
        add_error(r, first, n, error, cause_of_rest(r));
    add_error(r, r->marked.first, r->marked.n, error, cause_of_rest(r));
    r->marked = (struct index_range){0};
}
