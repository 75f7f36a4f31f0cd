#include "coordinator/results/results_reader.h"

#include "common/base/limits.h"
#include "common/observe/utc_time.h"
#include "common/observe/log.h"
#include "coordinator/answers/item_error.h"
#include "coordinator/durable/job_document.h"
#include "coordinator/job/reader.h"
#include "coordinator/results/results_internal.h"
#include "protocol/protocol.h"

enum { INDEX_SPANS = 100 * 1000 };      /* maximum number of spans in memory; a span takes 40 bytes */
enum { SPANS_OF_A_PULL = 2000 };        /* one pull skips at most this many spans, so that it delays no other request */
enum { PLAN_SPANS = 256 };              /* how many spans the reader looks ahead for blocks that it needs */
enum { AHEAD_BYTES = 2 * 1024 * 1024 }; /* how many bytes of answers the reader looks ahead for blocks to read */
enum { FULL_GAP_SPANS = 32 };    /* if there is no room for a block, the reader looks again after this many spans */
enum { DROP_AFTER_SPANS = 256 }; /* after this many spans the index drops the spans that were read */
#define CACHE_IDLE_NS  (5 * NS_PER_S)    /* if the client reads nothing for this time, the reader drops its blocks */
#define SCARCE_IDLE_NS (100 * NS_PER_MS) /* instead of CACHE_IDLE_NS while readers wait for room */

static const char *const state_names[] = {
    [STREAM_ASKING] = "asking", [STREAM_OPEN] = "open", [STREAM_TAIL] = "tail", [STREAM_CUT] = "cut"};
static_assert(ARRAY_SIZE(state_names) == STREAM_STATE_COUNT, "one name per state");

void results_move(struct results_reader *r, enum results_state to)
{
    log_debug("results reader moved", LOG_STR("job", r->watch.id), LOG_STR("from", state_names[r->state]),
              LOG_STR("to", state_names[to]));
    r->state = to;
}

/* The functions below find the next answers. */

/* Returns a span for the items from `position` up to `end`. The items of this span have no answer, because the job
 * ended before they were sent. */
static struct answer_span make_missing(struct results_reader *r, uint64_t end)
{
    if (!r->missing.len)
        item_error_write_own(&r->missing, ITEM_CANCELLED, "the job ended before this item was sent", 0, false);
    return (struct answer_span){.first = r->position, .n = end - r->position, .is_error = true, .is_repeated = true};
}

/* Sets *span to the next answers. Returns false at the end, or if the next answers are not known yet. */
static bool find_next(struct results_reader *r, struct answer_span *span)
{
    bool found = answer_index_find(&r->index, r->position, span);
    if (found && span->first == r->position) return true;
    if (!r->complete) return false;
    uint64_t end = found ? span->first : r->index.horizon < r->job.items ? r->index.horizon : r->job.items;
    if (end <= r->position) return false;
    *span = make_missing(r, end);
    return true;
}

bool results_are_dry(const struct results_reader *r)
{
    struct answer_span span;
    if (r->span.n) return false;
    return !answer_index_find(&r->index, r->position, &span) || span.first > r->position;
}

static bool is_at_end(const struct results_reader *r)
{
    return r->complete && !r->span.n && results_are_dry(r) && r->position >= r->job.items;
}

static bool is_wanted(const struct results_reader *r, const struct answer_span *s)
{
    return r->query.only == ONLY_BOTH || (r->query.only == ONLY_ERRORS) == s->is_error;
}

static void pass(struct results_reader *r, uint64_t items, size_t bytes)
{
    r->position += items;
    r->span.first += items;
    r->span.n -= items;
    if (!r->span.is_repeated) {
        r->span.line += items;
        r->span_at += bytes;
    }
    if (r->span.n) return;
    r->placed = false;
    if (++r->spans_read % DROP_AFTER_SPANS == 0) answer_index_drop_below(&r->index, r->position);
}

/* Sets r->span to the next answers that the client wants. Returns false if no answer can be given now. */
static bool begin_span(struct results_reader *r)
{
    for (unsigned skipped = 0; !r->span.n; skipped++) {
        if (r->position >= r->index.horizon) {
            results_restart(r);
            return false;
        }
        if (skipped == SPANS_OF_A_PULL) {
            http_exchange_wake(r->exchange);
            return false;
        }
        if (!find_next(r, &r->span)) {
            r->span.n = 0;
            results_ask_more(r);
            return false;
        }
        if (!is_wanted(r, &r->span)) pass(r, r->span.n, 0);
    }
    return true;
}

/* Calls `fn` for each of the next spans that the client wants, until `fn` returns false. Returns how many spans came
 * before the span for which `fn` returned false. */
static unsigned each_next_span(struct results_reader *r,
                               bool (*fn)(struct results_reader *r, const struct answer_span *s))
{
    struct answer_span s;
    unsigned n = 0;
    for (uint64_t at = r->position; n < PLAN_SPANS && answer_index_find(&r->index, at, &s) && s.first == at; n++) {
        if (is_wanted(r, &s) && !fn(r, &s)) break;
        at = s.first + s.n;
    }
    return n;
}

static bool note_span(struct results_reader *r, const struct answer_span *s)
{
    block_cache_note(&r->cache, s->block, s->first);
    return true;
}

void results_plan(struct results_reader *r)
{
    block_cache_plan(&r->cache);
    each_next_span(r, note_span);
}

/* If the block of `s` is not in the cache, reads the block, unless this would drop blocks that are needed sooner.
 * Returns whether to continue with the next span. */
static bool read_if_missing(struct results_reader *r, const struct answer_span *s)
{
    const struct cached_block *b = block_cache_find(&r->cache, s->block);
    if (b) {
        uint64_t lines = b->line_count ? b->line_count : 1, n = s->is_repeated ? 1 : s->n;
        r->ahead_bytes += n * (b->lines.len / lines);
        return r->ahead_bytes < AHEAD_BYTES;
    }
    results_plan(r);
    if (block_cache_has_room(&r->cache, s->first, results_cache_cap(r)) && read_gate_has_room(&r->watch.list->gate))
        results_read_block(r, s->block, s->first);
    else
        r->ahead_at_span += FULL_GAP_SPANS;
    return false;
}

/* Starts to read the next needed block that the cache does not have. The more spans the function checks, the longer it
 * waits before the next check. So the average time per span stays small. */
static void read_ahead(struct results_reader *r)
{
    if (r->reading || (int)(r->spans_read - r->ahead_at_span) < 0) return;
    r->ahead_at_span = r->spans_read;
    r->ahead_bytes = 0;
    r->ahead_at_span += each_next_span(r, read_if_missing) / 8;
}

/* Returns the lines of r->span, or NULL if the block must be read first. */
static const char *read_span(struct results_reader *r, size_t *len)
{
    if (!r->span.block) {
        *len = r->missing.len;
        return r->missing.data;
    }
    const struct cached_block *b = block_cache_find(&r->cache, r->span.block);
    if (!b) {
        results_read_block(r, r->span.block, r->position);
        r->ahead_at_span = r->spans_read;
        return NULL;
    }
    if (!r->placed) {
        uint64_t lines = r->span.is_repeated ? 1 : r->span.n;
        if (!cached_block_lines(b, r->span.line, lines, &r->span_at, &r->span_end)) {
            results_cut(r, "a block has fewer lines than its ranges say");
            return NULL;
        }
        r->placed = true;
        read_ahead(r);
    }
    *len = r->span_end - r->span_at;
    return b->lines.data + r->span_at;
}

/* Pulling. */

static size_t copy_pending(struct results_reader *r, char *dst, size_t cap)
{
    size_t n = bytes_copy_next(dst, cap, r->pending.data, r->pending.len, &r->pending_at);
    if (r->pending_at == r->pending.len) {
        buf_clear(&r->pending);
        r->pending_at = 0;
    }
    return n;
}

static size_t write_span(struct results_reader *r, char *dst, size_t cap)
{
    struct answer_run run = {.first = r->span.first, .n = r->span.n, .repeated = r->span.is_repeated};
    run.bytes = read_span(r, &run.len);
    if (!run.bytes) return 0;
    struct result_written n = result_writer_write_run(&r->writer, &run, dst, cap);
    if (n.lines) pass(r, n.lines, n.line_bytes);
    return n.bytes;
}

/* Fills dst with answers and control lines, until dst is full or the next answer is not known. */
static size_t pull_lines(struct results_reader *r, char *dst, size_t cap)
{
    size_t total = 0;
    while (total < cap) {
        if (!r->writer.in_line && r->pending.len) total += copy_pending(r, dst + total, cap - total);
        if (total == cap || r->state != STREAM_OPEN || !begin_span(r)) break;
        size_t n = write_span(r, dst + total, cap - total);
        if (n == 0) break;
        total += n;
    }
    return total;
}

static ssize_t on_pull(struct http_exchange *x, char *dst, size_t cap)
{
    struct results_reader *r = http_exchange_data(x);
    r->pulled_ns = now_ns();
    size_t total = pull_lines(r, dst, cap);
    if (r->state == STREAM_OPEN && total < cap && is_at_end(r)) {
        if (results_end_part(r)) results_move(r, STREAM_TAIL);
        total += copy_pending(r, dst + total, cap - total);
    }
    if (total) r->last_output_ns = r->pulled_ns;
    if (total) return (ssize_t)total;
    if (r->state == STREAM_CUT) return HTTP_PULL_ABORT;
    return r->state == STREAM_TAIL && !r->pending.len ? HTTP_PULL_END : HTTP_PULL_WAIT;
}

/* The life of a reader. */

void results_open(struct results_reader *r)
{
    const struct results_options options = results_read_options(&r->job);
    results_move(r, STREAM_OPEN);
    r->runs = options.runs;
    r->is_reduced = options.is_reduced && r->waits;
    r->last_output_ns = r->last_progress_ns = now_ns();
    results_begin(r);
    http_exchange_set_header(r->exchange, HEADER_JOB, r->watch.id);
    http_answer_stream(r->exchange, 200, r->part == PART_LINES ? TYPE_NDJSON : TYPE_JSON);
}

void results_cut(struct results_reader *r, const char *why)
{
    if (r->state != STREAM_OPEN) return;
    log_info("a stream of results was cut", LOG_STR("job", r->watch.id), LOG_STR("reason", why),
             LOG_U64("position", r->position));
    results_move(r, STREAM_CUT);
    http_exchange_wake(r->exchange);
}

void results_end_removed(struct results_reader *r)
{
    if (r->writer.in_line || r->part != PART_LINES) {
        results_cut(r, "the job was removed while its results were sent");
        return;
    }
    job_document_write_removed_line(&r->pending, &r->job, utc_time_now());
    results_move(r, STREAM_TAIL);
    http_exchange_wake(r->exchange);
}

void results_restart(struct results_reader *r)
{
    if (!r->writer.in_line) r->span.n = 0;
    if (!r->span.n) r->placed = false;
    answer_index_clear(&r->index, r->position);
    r->last_block = 0;
    r->ranged_answers = UINT64_MAX;
    r->more = r->has_ended = r->complete = false;
    results_forget_ask(r);
    results_ask(r);
}

void results_rewind(struct results_reader *r)
{
    r->position = 0;
    results_restart(r);
}

static void on_poke(void *owner)
{
    struct results_reader *r = owner;
    if (r->state != STREAM_OPEN || r->complete) return;
    r->poked = true;
    if (results_are_dry(r) && !r->backs_off) results_ask(r);
}

static void on_drain(void *owner)
{
    struct results_reader *r = owner;
    if (r->state == STREAM_OPEN && !r->complete && results_are_dry(r)) results_cut(r, "the coordinator drains");
}

static void add_control_lines(struct results_reader *r, uint64_t now)
{
    uint64_t heartbeat_ns = (uint64_t)(r->watch.list->heartbeat_s * 1e9);
    if (r->pending.len) return;
    if (results_add_waiting(r)) {
        r->last_output_ns = now;
    } else if (r->query.progress_ns && !r->complete && now - r->last_progress_ns >= r->query.progress_ns) {
        job_document_write_progress_line(&r->pending, &r->job);
        r->last_progress_ns = now;
    } else if (now - r->last_output_ns >= heartbeat_ns) {
        results_add_heartbeat(r);
        r->last_output_ns = now;
    } else {
        return;
    }
    http_exchange_wake(r->exchange);
}

static void ask_again(struct results_reader *r, bool dry)
{
    r->backs_off = false;
    if (dry && r->more)
        results_ask_more(r);
    else
        results_ask(r);
}

/* Drops the blocks if the client has not read for some time. If the reader waits for room and there is room now, makes
 * the reader try again. */
static void drop_idle_blocks(struct results_reader *r, uint64_t now)
{
    struct read_gate *gate = &r->watch.list->gate;
    uint64_t idle_ns = read_gate_is_scarce(gate) ? SCARCE_IDLE_NS : CACHE_IDLE_NS;
    if (!r->reading && r->span.n && now - r->pulled_ns > idle_ns) results_drop_blocks(r);
    if (!r->place.is_queued || !read_gate_has_room(gate)) return;
    read_gate_forget(gate, &r->place);
    http_exchange_wake(r->exchange);
}

static void on_tick(void *owner, uint64_t now)
{
    struct results_reader *r = owner;
    if (r->state != STREAM_OPEN) return;
    bool dry = results_are_dry(r), fresh = r->query.progress_ns > 0;
    if (!r->complete && now >= r->ask_at_ns && (dry || fresh)) ask_again(r, dry);
    drop_idle_blocks(r, now);
    if (r->read_at_ns && now >= r->read_at_ns) {
        r->read_at_ns = 0;
        http_exchange_wake(r->exchange);
    }
    add_control_lines(r, now);
}

static void on_closed(struct http_exchange *x, enum http_closed how)
{
    struct results_reader *r = http_exchange_data(x);
    results_detach_calls(r);
    results_drop_blocks(r);
    job_watch_remove(&r->watch);
    stored_job_release(&r->job);
    answer_index_release(&r->index);
    buf_release(&r->missing);
    buf_release(&r->pending);
    free(r);
}

static void start(struct http_exchange *x, struct job_watches *watches, const char *id,
                  const struct results_query *query, enum results_part part, bool waits, enum job_likeness likeness,
                  const struct store_call *read)
{
    static const struct http_exchange_ops ops = {.pull = on_pull, .closed = on_closed};
    static const struct job_watch_ops watch_ops = {.poke = on_poke, .tick = on_tick, .drain = on_drain};
    struct results_reader *r = xcalloc(1, sizeof *r);
    r->exchange = x;
    r->query = *query;
    r->part = part;
    r->waits = waits;
    r->likeness = likeness;
    r->position = query->from;
    r->ranged_answers = UINT64_MAX;
    answer_index_init(&r->index, INDEX_SPANS);
    answer_index_clear(&r->index, query->from);
    job_watch_add(&r->watch, watches, id, &watch_ops, r);
    http_exchange_accept(x, &ops, r);
    if (read && read->whole)
        results_take_whole(r, read);
    else
        results_ask(r);
}

void results_reader_handle(struct http_exchange *x, struct job_watches *watches)
{
    struct results_query query;
    if (!results_read_query(x, &query)) return;
    start(x, watches, http_exchange_param(x, "id"), &query, PART_LINES, false, LIKE_NOTHING, NULL);
}

void results_reader_answer(struct http_exchange *x, struct job_watches *watches, const char *id,
                           const struct store_call *read, enum job_likeness likeness)
{
    const struct results_query everything = {0};
    start(x, watches, id, &everything, reader_takes_lines(x) ? PART_LINES : PART_VALUES, true, likeness, read);
}

bool results_reader_may_answer(const struct http_exchange *x, const struct stored_job *job)
{
    return job->items <= LIMIT_DOCUMENT_RESULTS || reader_takes_lines(x) || results_read_options(job).is_reduced;
}
