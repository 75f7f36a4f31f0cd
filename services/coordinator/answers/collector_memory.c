/* The memory of a collector: how much its segments may use, and what is in the spill. */
#include "common/base/memory_room.h"
#include "common/base/spare_memory.h"
#include "coordinator/answers/collector_internal.h"

#define SPILL_STEP_BYTES  ((size_t)512 * 1024)
#define SEGMENT_MIN_BYTES ((size_t)256)
/* If a job's share of memory holds fewer full segments than this, the segments of the job are smaller, down to
 * SEGMENT_SHORT_BYTES. */
#define SEGMENTS_PER_SHARE  ((size_t)4)
#define SEGMENT_SHORT_BYTES ((size_t)4 * 1024)
#define SPILL_STEP_SEGMENTS 256 /* one call writes at most this many segments to the spill */
/* Segments in the spill are joined up to this size. A pass that joins segments begins when the spill has more than
 * COMPACT_FROM_N segments, and at least twice as many as after the last pass. */
#define COMPACT_BYTES  ((size_t)16 * 1024)
#define COMPACT_FROM_N ((size_t)512)
#define COMPACT_GROWTH ((size_t)4)

void segment_count(struct collector *c, size_t more, size_t less)
{
    c->memory_bytes += more - less;
    memory_budget_count(c->config.shared, more, less);
}

size_t segment_limit(const struct collector *c)
{
    size_t share = memory_budget_share(c->config.shared, SEGMENT_BYTES * SEGMENTS_PER_SHARE) / SEGMENTS_PER_SHARE;
    return share > SEGMENT_SHORT_BYTES ? share : SEGMENT_SHORT_BYTES;
}

bool segment_memory_is_short(const struct collector *c)
{
    return segment_limit(c) < SEGMENT_BYTES;
}

static void empty_spill_if_unused(struct collector *c)
{
    if (c->spilled_bytes > 0 || c->spilling) return;
    c->spill_end = 0;
    if (c->config.spill.empty) c->config.spill.empty(c->config.spill.ctx);
}

/* Call it when `len` bytes in the spill are no longer needed. */
static void leave_spill(struct collector *c, size_t len)
{
    c->spilled_bytes -= len;
    empty_spill_if_unused(c);
}

/* Stops the write of a segment to the spill, if such a write is under way. */
static void stop_spilling(struct collector *c)
{
    if (!c->spilling) return;
    c->spilling = NULL;
    empty_spill_if_unused(c);
}

static void release_mapping(struct collector *c, struct segment *seg)
{
    c->config.spill.unmap(c->config.spill.ctx, seg->offset, seg->bytes, seg->len);
    seg->bytes = NULL;
    seg->mapped = false;
    leave_spill(c, seg->len);
}

static void release_bytes(struct collector *c, struct segment *seg)
{
    if (c->spilling == seg) stop_spilling(c);
    if (seg->mapped) {
        release_mapping(c, seg);
        return;
    }
    segment_count(c, 0, seg->alloc);
    if (seg->alloc == SEGMENT_BYTES && !c->spare && !segment_memory_is_short(c))
        c->spare = seg->bytes;
    else
        spare_memory_free(seg->bytes);
    seg->bytes = NULL;
    seg->alloc = 0;
}

void segment_free(struct collector *c, struct segment *seg)
{
    release_bytes(c, seg);
    segment_count(c, 0, sizeof *seg);
    free(seg);
}

void segment_grow(struct collector *c, struct segment *seg, size_t need)
{
    if (need <= seg->alloc) return;
    size_t alloc = seg->alloc ? seg->alloc : SEGMENT_MIN_BYTES;
    while (alloc < need && alloc < SEGMENT_BYTES) alloc *= 2;
    if (alloc < need) alloc = need;
    segment_count(c, alloc, seg->alloc);
    if (!seg->bytes && alloc == SEGMENT_BYTES && c->spare) {
        seg->bytes = c->spare;
        c->spare = NULL;
    } else {
        seg->bytes = xrealloc(seg->bytes, alloc);
    }
    seg->alloc = alloc;
}

/* Writes the segment to the spill. If the segment is large, writes only its next part. Returns false when the write
 * fails. If the segment is not written completely, c->spilling is set. */
static bool spill(struct collector *c, struct segment *seg)
{
    size_t at = c->spilling ? c->written : 0, left = seg->len - at;
    size_t n = left < COLLECTOR_SLICE_BYTES ? left : COLLECTOR_SLICE_BYTES;
    if (!c->config.spill.write(c->config.spill.ctx, c->spill_end + at, seg->bytes + at, n)) return false;
    c->spilling = n < left ? seg : NULL;
    c->written = at + n;
    if (c->spilling) return true;
    seg->offset = c->spill_end;
    seg->spilled = true;
    c->spill_end += seg->len;
    c->spilled_bytes += seg->len;
    release_bytes(c, seg);
    return true;
}

static bool map(struct collector *c, struct segment *seg)
{
    seg->bytes = c->config.spill.map(c->config.spill.ctx, seg->offset, seg->len);
    seg->mapped = seg->bytes != NULL;
    seg->spilled = !seg->mapped;
    return seg->mapped;
}

bool segment_unspill(struct collector *c, struct segment *seg)
{
    if (seg->len > COLLECTOR_SLICE_BYTES && c->config.spill.map) return map(c, seg);
    if (!memory_has_room(seg->len)) return false;
    segment_grow(c, seg, seg->len);
    if (!c->config.spill.read(c->config.spill.ctx, seg->offset, seg->bytes, seg->len)) return false;
    seg->spilled = false;
    leave_spill(c, seg->len);
    return true;
}

/* Returns how much memory spilling can free: everything except the bookkeeping of spilled runs. */
static size_t held_bytes(const struct collector *c)
{
    return c->memory_bytes - c->spilled.n * sizeof(struct segment);
}

/* Compaction. Each segment in the spill still needs memory for its bookkeeping. If the memory is short, or if many
 * items are answered late, segments of a few bytes are spilled. So from time to time, a pass reads small segments that
 * follow one another, and writes them again as one segment. The old bytes of these segments stay in the file until the
 * spill is empty. So a segment is written again only if it becomes at least COMPACT_GROWTH times as large. */

/* A group of adjacent segments that are all in the spill. */
struct group {
    struct segment *last;
    size_t len, n; /* n counts the segments */
};

static bool may_join(const struct collector *c, const struct group *g, const struct segment *next)
{
    size_t limit = segment_limit(c) < COMPACT_BYTES ? segment_limit(c) : COMPACT_BYTES;
    if (g->last->repeated || next->repeated || g->last->first + g->last->n != next->first) return false;
    return g->len + next->len <= limit && next->len <= g->len;
}

/* Returns the segments from `seg` on that should be joined. If no join is worth a write, returns `seg` alone. */
static struct group find_group(const struct collector *c, struct segment *seg)
{
    struct group g = {seg, seg->len, 1};
    for (struct segment *next; (next = segments_after(&c->spilled, g.last->first)) && may_join(c, &g, next); g.n++) {
        g.last = next;
        g.len += next->len;
    }
    return g.len >= COMPACT_GROWTH * seg->len ? g : (struct group){seg, seg->len, 1};
}

static bool read_group(struct collector *c, struct segment *seg, const struct group *g, char *bytes)
{
    const struct collector_spill *s = &c->config.spill;
    for (size_t i = 0; i < g->n; i++, seg = segments_after(&c->spilled, seg->first)) {
        if (!s->read(s->ctx, seg->offset, bytes, seg->len)) return false;
        bytes += seg->len;
    }
    return true;
}

/* Joins the segment with the small segments after it. Decreases *n by the number of all segments that it joins, but not
 * below 0. If the spill cannot be read or written, returns false and joins nothing. */
static bool join_spilled(struct collector *c, struct segment *seg, size_t *n)
{
    char bytes[COMPACT_BYTES];
    const struct group g = find_group(c, seg);
    if (g.n == 1) return true;
    if (!read_group(c, seg, &g, bytes) || !c->config.spill.write(c->config.spill.ctx, c->spill_end, bytes, g.len))
        return false;
    for (size_t i = 1; i < g.n; i++) {
        struct segment *next = segments_after(&c->spilled, seg->first);
        seg->n += next->n;
        segments_take(&c->spilled, next);
        segment_free(c, next);
    }
    *n -= *n < g.n ? *n : g.n;
    seg->offset = c->spill_end;
    seg->len = g.len;
    c->spill_end += g.len;
    return true;
}

/* Begins a pass if one is due. Continues the pass that is under way, and visits about `n` segments. */
static enum collector_status compact(struct collector *c, size_t n)
{
    if (c->compacted_n > c->spilled.n) c->compacted_n = c->spilled.n;
    if (!c->compacting && c->spilled.n > COMPACT_FROM_N && c->spilled.n >= 2 * c->compacted_n) {
        c->compacting = true;
        c->compacted_to = 0;
    }
    while (c->compacting && n > 0) {
        struct segment *seg = segments_after(&c->spilled, c->compacted_to);
        n--;
        if (seg) {
            c->compacted_to = seg->first;
            if (!join_spilled(c, seg, &n)) return COLLECTOR_SPILL_FAILED;
        } else {
            c->compacting = false;
            c->compacted_n = c->spilled.n;
        }
    }
    return COLLECTOR_OK;
}

/* Spills the last runs in input order, but not the run that is read next. Spills a little more than necessary;
 * otherwise a full collector would write to the spill for every answer. Does not spill much more, because a long write
 * blocks the loop. */
static enum collector_status spill_input_order(struct collector *c)
{
    size_t cap = memory_budget_share(c->config.shared, c->config.memory_cap);
    size_t room = cap / 4 < SPILL_STEP_BYTES ? cap / 4 : SPILL_STEP_BYTES;
    size_t before_n = c->spilled.n;
    while (held_bytes(c) > cap - room && c->spilled.n < before_n + SPILL_STEP_SEGMENTS) {
        struct segment *seg = c->spilling ? c->spilling : segments_last(&c->held);
        if (!seg || seg->first <= c->next) break;
        if (!spill(c, seg)) return COLLECTOR_SPILL_FAILED;
        if (c->spilling) return COLLECTOR_OK;
        segments_take(&c->held, seg);
        segments_put(&c->spilled, seg);
    }
    stop_spilling(c); /* the segment is read next, or now fits into memory */
    return compact(c, 2 * (c->spilled.n - before_n));
}

static void begin_spilling(struct collector *c, struct segment *seg)
{
    c->spilling = seg;
    c->written = 0;
}

/* Spills the last run of the queue if that run is long enough to be worth a write. The runs before the last run need no
 * write: they fit within the cap, or are in the spill already. */
static enum collector_status spill_queue_end(struct collector *c)
{
    struct segment *seg = c->spilling ? c->spilling : c->queue_last;
    if (!seg || seg == c->queue || seg->spilled || seg->len < segment_limit(c) / 2) {
        stop_spilling(c);
        return COLLECTOR_OK;
    }
    if (!spill(c, seg)) return COLLECTOR_SPILL_FAILED;
    /* While this segment was being written, more segments may have been added after it. If the next segment is large,
     * its write begins now. */
    if (!c->spilling && seg->next && seg->next->len > COLLECTOR_SLICE_BYTES) begin_spilling(c, seg->next);
    return COLLECTOR_OK;
}

bool collector_spills(const struct collector *c)
{
    return c->spilling != NULL;
}

enum collector_status collector_step(struct collector *c)
{
    if (!c->spilling) return COLLECTOR_OK;
    return in_input_order(c) ? spill_input_order(c) : spill_queue_end(c);
}

enum collector_status collector_spill_over(struct collector *c)
{
    if (!c->config.spill.write || c->config.memory_cap == 0) return COLLECTOR_OK;
    if (held_bytes(c) <= memory_budget_share(c->config.shared, c->config.memory_cap)) return COLLECTOR_OK;
    return in_input_order(c) ? spill_input_order(c) : spill_queue_end(c);
}
