/* The calls of a reader to the store: a call for the state of the job, then for the ranges of its new blocks, and then
 * for the blocks. */
#include "common/base/limits.h"
#include "common/base/memory_room.h"
#include "common/observe/log.h"
#include "coordinator/results/results_internal.h"
#include "coordinator/results/store_problem.h"

/* When a reader has read all recorded answers, it pauses before it asks the store for more. These are the shortest and
 * the longest pause. The pause grows while no new answers arrive. */
#define ASK_GAP_LEAST_NS (200 * NS_PER_MS)
#define ASK_GAP_MOST_NS  (1000 * NS_PER_MS)
/* The bytes of blocks in memory: the limit for one reader, and for all readers together. A reader may hold two blocks
 * even if they exceed these limits. */
#define CACHE_BYTES       (16 * (size_t)MIB)
#define CACHE_SPARE_BYTES (2 * (size_t)MIB) /* the limit for blocks of one reader that have no known next item */
#define CACHE_TOTAL_BYTES (128 * (size_t)MIB)

/* Calls. */

static struct store_call *start(struct results_reader *r, enum store_op op, uint64_t block,
                                void (*done)(struct store_call *call))
{
    struct store_call *call = store_call_new(op, done, r);
    snprintf(call->job.id, sizeof call->job.id, "%s", r->watch.id);
    call->block.number = block;
    store_start(r->watch.list->store, call);
    return call;
}

void results_forget_ask(struct results_reader *r)
{
    if (r->asking) r->asking->data = NULL;
    r->asking = NULL;
}

/* Call it when the call for a block has ended. Wakes the next reader in the queue. */
static void leave_gate(struct job_watches *l)
{
    struct read_gate_place *next = read_gate_leave(&l->gate);
    if (next) http_exchange_wake(CONTAINER_OF(next, struct results_reader, place)->exchange);
}

/* Called when a block has arrived but its reader has ended. */
static void on_unwanted_block(struct store_call *call)
{
    leave_gate(call->data);
    store_call_free(call);
}

static void count_blocks(struct results_reader *r)
{
    r->watch.list->gate.held_bytes += r->cache.bytes - r->held_bytes;
    r->held_bytes = r->cache.bytes;
}

void results_drop_blocks(struct results_reader *r)
{
    block_cache_release(&r->cache);
    count_blocks(r);
}

void results_detach_calls(struct results_reader *r)
{
    results_forget_ask(r);
    read_gate_forget(&r->watch.list->gate, &r->place);
    if (!r->reading) return;
    r->reading->data = r->watch.list;
    r->reading->done = on_unwanted_block;
    r->reading = NULL;
}

/* Sets the time at which the reader asks the store again. */
static void ask_later(struct results_reader *r, bool something_came)
{
    uint64_t gap = something_came ? 0 : r->ask_gap_ns + r->ask_gap_ns / 2;
    if (gap < ASK_GAP_LEAST_NS) gap = ASK_GAP_LEAST_NS;
    r->ask_gap_ns = gap < ASK_GAP_MOST_NS ? gap : ASK_GAP_MOST_NS;
    r->ask_at_ns = now_ns() + r->ask_gap_ns;
}

/* Call it when the store is away. Delays the next call. */
static void back_off(struct results_reader *r)
{
    ask_later(r, false);
    r->backs_off = true;
}

/* Call it when a call has failed while the stream is open. */
static void fail_open(struct results_reader *r, const struct store_call *call)
{
    if (call->status == STORE_NOT_FOUND)
        results_end_removed(r);
    else if (call->status == STORE_AWAY)
        back_off(r);
    else
        results_cut(r, call->error);
}

/* The state of the job. */

static void on_job(struct store_call *call);
static void on_ranges(struct store_call *call);

static void read_ranges(struct results_reader *r)
{
    r->asking = start(r, STORE_READ_RANGES, r->last_block, on_ranges);
}

void results_ask(struct results_reader *r)
{
    if (r->asking) return;
    r->poked = false;
    r->asking = start(r, STORE_READ_JOB, 0, on_job);
}

void results_ask_more(struct results_reader *r)
{
    if (r->asking || r->backs_off) return;
    if (r->more)
        read_ranges(r);
    else if (r->poked)
        results_ask(r);
}

static void refuse(struct results_reader *r, const struct store_call *call, bool hidden)
{
    if (hidden || call->status == STORE_NOT_FOUND)
        store_problem_no_job(r->exchange, r->watch.id);
    else
        store_problem_answer(r->exchange, call);
}

/* Returns whether a redrive has removed the errors of the job. If so, the index must be read again. */
static bool was_redriven(const struct results_reader *r, const struct stored_job *now)
{
    return r->state == STREAM_OPEN && now->redrives != r->job.redrives;
}

/* Returns whether there may be new ranges. The counts of the job include every recorded answer, so equal counts mean
 * that there is no new range. */
static bool has_news(const struct results_reader *r)
{
    const struct stored_counts *n = &r->job.counts;
    return r->more || stored_state_is_end(r->job.state) || n->succeeded + n->failed + n->cancelled != r->ranged_answers;
}

static void handle_last_ranges(struct results_reader *r, bool something_came);

static void take_job(struct results_reader *r, struct stored_job *found)
{
    bool redriven = was_redriven(r, found), confirms = r->has_ended && !redriven;
    stored_job_release(&r->job);
    r->job = *found;
    *found = (struct stored_job){0};
    if (r->state == STREAM_ASKING) results_open(r);
    if (redriven && r->part != PART_LINES) {
        results_cut(r, "the job was redriven while its document was sent");
        return;
    }
    if (redriven) {
        results_restart(r);
        return;
    }
    r->complete = confirms && stored_state_is_end(r->job.state);
    if (r->complete)
        http_exchange_wake(r->exchange);
    else if (has_news(r))
        read_ranges(r);
    else
        handle_last_ranges(r, false);
}

static void on_job(struct store_call *call)
{
    struct results_reader *r = call->data;
    if (r) {
        bool hidden = call->status == STORE_OK && call->found.state == STORED_RECEIVING;
        r->asking = NULL;
        if (r->state != STREAM_ASKING && r->state != STREAM_OPEN)
            ; /* the stream ended during the call */
        else if (call->status == STORE_OK && !hidden)
            take_job(r, &call->found);
        else if (r->state == STREAM_ASKING)
            refuse(r, call, hidden);
        else
            fail_open(r, call);
    }
    store_call_free(call);
}

/* Ranges. */

static bool add_ranges(struct results_reader *r, const struct store_call *call)
{
    for (size_t i = 0; i < call->block_count; i++) {
        const struct block *b = &call->blocks[i];
        if (!answer_index_add(&r->index, b)) return false;
        if (b->number > r->last_block) r->last_block = b->number;
    }
    return true;
}

/* Call it when all ranges in the store have been read. If the job had ended before the ranges were read, there are no
 * more answers, unless the job was redriven in the meantime. So the state of an ended job is read again. */
static void handle_last_ranges(struct results_reader *r, bool something_came)
{
    const struct stored_counts *n = &r->job.counts;
    r->ranged_answers = n->succeeded + n->failed + n->cancelled;
    r->has_ended = stored_state_is_end(r->job.state);
    if (r->has_ended || (r->poked && results_are_dry(r)))
        results_ask(r);
    else if (r->watch.list->draining && results_are_dry(r))
        results_cut(r, "the coordinator drains");
    else
        ask_later(r, something_came);
}

static void handle_ranges(struct results_reader *r, const struct store_call *call)
{
    if (!add_ranges(r, call)) {
        results_cut(r, "the ranges of a block overlap");
        return;
    }
    r->more = call->more && call->block_count > 0;
    if (!r->more)
        handle_last_ranges(r, call->block_count > 0);
    else if (results_are_dry(r))
        read_ranges(r);
    else
        ask_later(r, true);
    http_exchange_wake(r->exchange);
}

static void on_ranges(struct store_call *call)
{
    struct results_reader *r = call->data;
    if (r) {
        r->asking = NULL;
        if (r->state == STREAM_OPEN && call->status == STORE_OK)
            handle_ranges(r, call);
        else if (r->state == STREAM_OPEN)
            fail_open(r, call);
    }
    store_call_free(call);
}

/* Blocks. */

size_t results_cache_cap(const struct results_reader *r)
{
    size_t share = CACHE_TOTAL_BYTES / job_watches_count(r->watch.list);
    return share < CACHE_BYTES ? share : CACHE_BYTES;
}

/* Call it when the store no longer has a block: the job has been removed, or a redrive has removed its errors. */
static void miss_block(struct results_reader *r, uint64_t number)
{
    if (r->writer.in_line)
        results_cut(r, "a block was removed while one of its lines was sent");
    else if (number == r->missed_block)
        results_cut(r, "the store has the ranges of a block, but not the block");
    else
        results_restart(r);
    r->missed_block = number;
}

static void on_block(struct store_call *call)
{
    struct results_reader *r = call->data;
    struct job_watches *l = r->watch.list;
    r->reading = NULL;
    if (call->status == STORE_OK) {
        results_plan(r);
        block_cache_add(&r->cache, &call->block, r->reading_for, r->span.n ? r->span.block : 0, results_cache_cap(r),
                        CACHE_SPARE_BYTES);
        count_blocks(r);
        http_exchange_wake(r->exchange);
    } else if (call->status == STORE_NOT_FOUND) {
        miss_block(r, call->block.number);
    } else if (call->status == STORE_AWAY) {
        r->read_at_ns = now_ns() + ASK_GAP_LEAST_NS;
    } else {
        results_cut(r, call->error);
    }
    leave_gate(l);
    store_call_free(call);
}

/* The call has read the job and its blocks at the same time, so the reader need not read the state of the job again. */
void results_take_whole(struct results_reader *r, const struct store_call *read)
{
    stored_job_copy(&r->job, &read->found);
    r->has_ended = r->complete = true;
    results_open(r);
    if (!add_ranges(r, read)) results_cut(r, "the ranges of a block overlap");
    for (size_t i = 0; i < read->block_count; i++) {
        const struct block *b = &read->blocks[i];
        struct block copy = {.number = b->number};
        if ((b->kind != BLOCK_VALUES && b->kind != BLOCK_ERRORS) || b->range_count == 0) continue;
        buf_add(&copy.lines, b->lines.data, b->lines.len);
        block_cache_add(&r->cache, &copy, b->ranges[0].first, 0, results_cache_cap(r), CACHE_SPARE_BYTES);
    }
    count_blocks(r);
}

/* Returns whether this reader may read a block now. If a block is needed now, but memory is short or the readers hold
 * too many blocks, drops the blocks of this reader to make room. */
static bool may_read(struct results_reader *r, bool is_needed_now)
{
    struct read_gate *gate = &r->watch.list->gate;
    if (!memory_has_room((gate->open + 1) * (size_t)LIMIT_RECORDED_BYTES)) {
        r->read_at_ns = now_ns() + ASK_GAP_LEAST_NS;
        if (is_needed_now) results_drop_blocks(r);
        return false;
    }
    if (read_gate_enter(gate, &r->place)) return true;
    if (is_needed_now && read_gate_is_scarce(gate)) results_drop_blocks(r);
    return false;
}

void results_read_block(struct results_reader *r, uint64_t number, uint64_t item)
{
    /* A block for a later item is read ahead. Reading ahead must not drop the block of the current item. */
    bool is_needed_now = item == r->position;
    if (r->reading || now_ns() < r->read_at_ns || !may_read(r, is_needed_now)) return;
    r->reading_for = item;
    r->reading = start(r, STORE_READ_BLOCK, number, on_block);
}
