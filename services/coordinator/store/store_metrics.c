#include "coordinator/store/store_metrics.h"

#include "common/observe/metrics.h"

#define READ_GAP_NS (10 * NS_PER_S) /* the time between two readings of the figures of the store */

static const char *const status_names[] = {
    [STORE_OK] = "ok",         [STORE_NOT_FOUND] = "not_found",
    [STORE_EXISTS] = "exists", [STORE_CONFLICT] = "conflict",
    [STORE_FENCED] = "fenced", [STORE_FULL] = "full",
    [STORE_AWAY] = "away",     [STORE_UNFIT] = "unfit",
    [STORE_BROKEN] = "broken",
};
static_assert(ARRAY_SIZE(status_names) == STORE_STATUS_COUNT, "one name per status");

static const char *const op_names[] = {
    [STORE_ADD_JOB] = "add_job",
    [STORE_ADD_BLOCK] = "add_block",
    [STORE_ACCEPT] = "accept",
    [STORE_CLAIM] = "claim",
    [STORE_RENEW] = "renew",
    [STORE_HAND_BACK] = "hand_back",
    [STORE_END] = "end",
    [STORE_WANT_CANCEL] = "cancel",
    [STORE_CHANGE] = "change",
    [STORE_REDRIVE] = "redrive",
    [STORE_REMOVE] = "remove",
    [STORE_DISCARD] = "discard",
    [STORE_SWEEP] = "sweep",
    [STORE_TAKE_NOTICE] = "take_notice",
    [STORE_DELAY_NOTICE] = "delay_notice",
    [STORE_REMOVE_NOTICE] = "remove_notice",
    [STORE_READ_JOB] = "read_job",
    [STORE_LIST_JOBS] = "list_jobs",
    [STORE_READ_RANGES] = "read_ranges",
    [STORE_READ_BLOCK] = "read_block",
    [STORE_READ_STATS] = "read_stats",
};
static_assert(ARRAY_SIZE(op_names) == STORE_OP_COUNT, "one name per operation");

static void register_blocks(struct store_metrics *m)
{
    const char *kinds[BLOCK_KIND_COUNT];
    for (unsigned i = 0; i < BLOCK_KIND_COUNT; i++) kinds[i] = block_kind_name((enum block_kind)i);
    metric_counters("fantail_store_blocks_total", "Blocks that were added to the job store, by their kind.", "kind",
                    kinds, BLOCK_KIND_COUNT, m->blocks);
    metric_counters("fantail_store_block_bytes_total",
                    "Bytes of items and answers that were added to the job store, before compression.", "kind", kinds,
                    BLOCK_KIND_COUNT, m->bytes);
}

static void register_seconds(struct store_metrics *m)
{
    for (unsigned i = 0; i < STORE_OP_COUNT; i++) {
        struct buf labels = {0};
        metric_add_label(&labels, "op", op_names[i]);
        m->seconds[i] =
            metric_histogram("fantail_store_call_seconds",
                             "Time from the start of a call to the job store until it was done.", buf_cstr(&labels));
        buf_release(&labels);
    }
}

void store_register_metrics(struct store_metrics *m)
{
    metric_counters("fantail_store_calls_total", "Calls to the job store, by their status.", "status", status_names,
                    STORE_STATUS_COUNT, m->calls);
    m->commits =
        metric_counter("fantail_store_commits_total", "Transactions that were committed in the job store.", NULL);
    register_blocks(m);
    m->waits_for_room =
        metric_gauge("fantail_store_waits_for_room", "1 while the disk of the job store is full.", NULL);
    m->pending = metric_gauge("fantail_store_pending_jobs", "Pending jobs in the job store.", NULL);
    m->oldest_s = metric_gauge("fantail_store_oldest_pending_seconds",
                               "Age of the oldest pending job that no coordinator has claimed yet.", NULL);
    m->size = metric_gauge("fantail_store_size_bytes", "Size of the job store.", NULL);
    register_seconds(m);
}

static bool has_added_block(const struct store_call *call)
{
    if (call->status != STORE_OK) return false;
    return call->op == STORE_ADD_BLOCK || (call->op == STORE_END && call->block.range_count > 0);
}

void store_metrics_count(struct store_metrics *m, const struct store_call *call)
{
    ++*m->calls[call->status];
    metric_observe_ns(m->seconds[call->op], now_ns() - call->started_ns);
    *m->commits += call->is_first_of_commit;
    if (!has_added_block(call)) return;
    ++*m->blocks[call->block.kind];
    *m->bytes[call->block.kind] += call->block.lines.len;
}

/* If the store cannot be read, the last figures stay. */
static void on_read(struct store_call *call)
{
    struct store_metrics *m = call->data;
    m->is_reading = false;
    if (call->status == STORE_OK) {
        *m->pending = (int64_t)call->stats.pending;
        *m->oldest_s = call->stats.waits_ms / 1000;
        *m->size = (int64_t)call->stats.bytes;
    }
    store_call_free(call);
}

void store_metrics_tick(struct store *s, uint64_t now)
{
    struct store_metrics *m = s->metrics;
    if (!m || m->is_reading || (m->read_ns && now - m->read_ns < READ_GAP_NS)) return;
    m->is_reading = true;
    m->read_ns = now;
    store_start(s, store_call_new(STORE_READ_STATS, on_read, m));
}
