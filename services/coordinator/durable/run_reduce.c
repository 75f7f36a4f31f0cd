/* Reduces the recorded values of a durable run before the end of the job is recorded. If this coordinator dies or
 * drains during the reduction, the run after the next claim finds that all items are answered, and starts the reduction
 * from the beginning. */
#include "common/base/limits.h"
#include "common/base/memory_room.h"
#include "common/observe/log.h"
#include "coordinator/durable/durable_run.h"
#include "coordinator/recorded/block_fold.h"

/* At most this many runs reduce at the same time, because each of these runs holds a few blocks in memory. */
enum { REDUCING_MAX = 8 };
/* One step folds about this many bytes of values, so that other requests are not delayed. */
enum { STEP_BYTES = 1024 * 1024 };
/* The fold keeps at most this many spans in memory. Each span takes 40 bytes. */
enum { INDEX_SPANS = 100 * 1000 };

struct run_reduction {
    struct block_fold fold;
    uint64_t last_block; /* number of the last block whose ranges were read */
};

bool run_reduce_is_due(const struct durable_run *r)
{
    return r->reduce != REDUCE_NONE && r->state == RUN_ENDING && !r->reduced && !r->handing_back && r->job;
}

void run_reduce_release(struct durable_run *r)
{
    if (!r->reduction) return;
    block_fold_release(&r->reduction->fold);
    free(r->reduction);
    r->reduction = NULL;
    r->durable->reducing--;
}

static void finish(struct durable_run *r, struct json_slice result)
{
    if (result.data) r->result = xstrndup(result.data, result.len);
    r->reduced = true;
    run_reduce_release(r);
    run_record_flush(r);
}

/* Makes the job fail, because its values cannot be reduced. A synchronous job fails in the same way. The values stay in
 * the store. */
static void fail(struct durable_run *r, const char *why)
{
    log_warn("the values of a durable job cannot be reduced", LOG_STR("job", r->stored.id), LOG_STR("error", why));
    r->end_state = STORED_FAILED;
    run_set_end_reason(r, why);
    finish(r, (struct json_slice){0});
}

/* Returns true if the call has succeeded and the reduction is still under way. In all other cases, the call is freed or
 * is started again later. */
static bool check_reply(struct durable_run *r, const struct store_call *call)
{
    bool is_damaged = call->status == STORE_BROKEN;
    if (is_damaged || !r->reduction) {
        char why[sizeof call->error];
        memcpy(why, call->error, sizeof why);
        run_call_free(&r->reading);
        if (r->reduction) fail(r, why);
        return false;
    }
    return run_call_succeeded(r, &r->reading);
}

static void on_ranges(struct store_call *call)
{
    struct durable_run *r = call->data;
    if (!check_reply(r, call)) return;
    struct run_reduction *n = r->reduction;
    bool ok = true;
    for (size_t i = 0; ok && i < call->block_count; i++) {
        ok = block_fold_add_ranges(&n->fold, &call->blocks[i]);
        n->last_block = call->blocks[i].number;
    }
    if (!call->more) block_fold_has_ranges(&n->fold);
    run_call_free(&r->reading);
    if (ok)
        run_reduce_go_on(r);
    else
        fail(r, "the ranges of a block overlap");
}

static void on_block(struct store_call *call)
{
    struct durable_run *r = call->data;
    if (!check_reply(r, call)) return;
    block_fold_add(&r->reduction->fold, &call->block);
    run_call_free(&r->reading);
    run_reduce_go_on(r);
}

static void read_on(struct durable_run *r, enum store_op op, uint64_t number, void (*done)(struct store_call *call))
{
    r->reading.call = run_call_new(r, op, done);
    r->reading.call->block.number = number;
    run_call_start(r, &r->reading);
}

static void begin(struct durable_run *r)
{
    r->reduction = xcalloc(1, sizeof *r->reduction);
    r->durable->reducing++;
    block_fold_init(&r->reduction->fold, r->reduce, INDEX_SPANS, LIMIT_REDUCED_BYTES);
}

void run_reduce_go_on(struct durable_run *r)
{
    durable_tick_soon(r->durable);
    if (r->drain_ns) {
        durable_run_hand_back(r);
        return;
    }
    if (r->reading.call || r->lost || (!r->reduction && r->durable->reducing >= REDUCING_MAX)) return;
    if (!r->reduction) begin(r);
    struct run_reduction *n = r->reduction;
    switch (block_fold_step(&n->fold, STEP_BYTES)) {
    case BLOCK_FOLD_RANGES: read_on(r, STORE_READ_RANGES, n->last_block, on_ranges); break;
    case BLOCK_FOLD_BLOCK:
        if (memory_has_room(LIMIT_RECORDED_BYTES)) read_on(r, STORE_READ_BLOCK, n->fold.wanted, on_block);
        break;
    case BLOCK_FOLD_MORE: break;
    case BLOCK_FOLD_DONE: finish(r, block_fold_result(&n->fold)); break;
    case BLOCK_FOLD_FAILED: fail(r, n->fold.error); break;
    }
}
