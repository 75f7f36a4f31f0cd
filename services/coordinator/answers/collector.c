#include "coordinator/answers/collector.h"

#include "common/base/memory_room.h"
#include "common/base/spare_memory.h"
#include "coordinator/answers/segments.h"

#define SEGMENT_BYTES     ((size_t)64 * 1024) /* a segment grows to this size at most, unless one call adds more */
#define SPILL_STEP_BYTES  ((size_t)512 * 1024)
#define SEGMENT_MIN_BYTES ((size_t)256)
/* If a job's share of memory holds fewer full segments than this, its segments are smaller, down to
 * SEGMENT_SHORT_BYTES. */
#define SEGMENTS_PER_SHARE  ((size_t)4)
#define SEGMENT_SHORT_BYTES ((size_t)4 * 1024)

struct collector {
    struct collector_config config;
    struct segments held, spilled; /* input order: the segments in memory, and those in the spill */
    struct segments taken;         /* completion order: the indexes that were added, as merged ranges */
    struct segment *queue, *queue_last;
    struct segment *shown; /* the segment that the last peek returned */
    uint64_t next;         /* input order: the index that is read next */
    size_t memory_bytes;
    uint64_t spilled_bytes, spill_end;
    struct segment *spilling; /* the large segment that is being written to the spill; NULL: none */
    size_t written;           /* how many of its bytes are written */
    char *spare;              /* the memory of a freed segment (SEGMENT_BYTES), kept for the next segment */
};

struct collector *collector_new(const struct collector_config *config)
{
    struct collector *c = xcalloc(1, sizeof *c);
    c->config = *config;
    c->next = config->first_index;
    return c;
}

static void count(struct collector *c, size_t more, size_t less)
{
    c->memory_bytes += more - less;
    memory_budget_count(c->config.shared, more, less);
}

/* Returns how large a segment may grow. If the memory for all jobs is short, segments stay small, because the segment
 * that is read next always stays in memory. */
static size_t segment_limit(const struct collector *c)
{
    size_t share = memory_budget_share(c->config.shared, SEGMENT_BYTES * SEGMENTS_PER_SHARE) / SEGMENTS_PER_SHARE;
    return share > SEGMENT_SHORT_BYTES ? share : SEGMENT_SHORT_BYTES;
}

static bool memory_is_short(const struct collector *c)
{
    return segment_limit(c) < SEGMENT_BYTES;
}

static bool in_input_order(const struct collector *c)
{
    return c->config.order == COLLECT_INPUT_ORDER;
}

static void empty_spill_if_unused(struct collector *c)
{
    if (c->spilled_bytes > 0 || c->spilling) return;
    c->spill_end = 0;
    if (c->config.spill.empty) c->config.spill.empty(c->config.spill.ctx);
}

/* Call it when `len` bytes in the spill are not needed any more. */
static void leave_spill(struct collector *c, size_t len)
{
    c->spilled_bytes -= len;
    empty_spill_if_unused(c);
}

/* Call it when the segment that is being written stays in memory. */
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
    count(c, 0, seg->alloc);
    if (seg->alloc == SEGMENT_BYTES && !c->spare && !memory_is_short(c))
        c->spare = seg->bytes;
    else
        spare_memory_free(seg->bytes);
    seg->bytes = NULL;
    seg->alloc = 0;
}

static void free_segment(struct collector *c, struct segment *seg)
{
    release_bytes(c, seg);
    count(c, 0, sizeof *seg);
    free(seg);
}

static void free_all(struct collector *c, struct segments *t)
{
    for (struct segment *seg; (seg = segments_first(t)) != NULL;) {
        segments_take(t, seg);
        free_segment(c, seg);
    }
}

void collector_free(struct collector *c)
{
    if (!c) return;
    for (struct segment *seg = c->queue, *next; seg; seg = next) {
        next = seg->next;
        free_segment(c, seg);
    }
    free_all(c, &c->held);
    free_all(c, &c->spilled);
    free_all(c, &c->taken);
    free(c->spare);
    free(c);
}

/* Grows the segment's memory to at least `need` bytes. The size doubles up to SEGMENT_BYTES. */
static void grow(struct collector *c, struct segment *seg, size_t need)
{
    if (need <= seg->alloc) return;
    size_t alloc = seg->alloc ? seg->alloc : SEGMENT_MIN_BYTES;
    while (alloc < need && alloc < SEGMENT_BYTES) alloc *= 2;
    if (alloc < need) alloc = need;
    count(c, alloc, seg->alloc);
    if (!seg->bytes && alloc == SEGMENT_BYTES && c->spare) {
        seg->bytes = c->spare;
        c->spare = NULL;
    } else {
        seg->bytes = xrealloc(seg->bytes, alloc);
    }
    seg->alloc = alloc;
}

static void append(struct collector *c, struct segment *seg, uint64_t n, const char *bytes, size_t len)
{
    if (seg->gone_bytes > 0 && seg->gone_bytes >= seg->len - seg->gone_bytes) {
        /* At least half of the segment is consumed, so the rest is moved to the front. This moves no more bytes than
         * were consumed. */
        memmove(seg->bytes, seg->bytes + seg->gone_bytes, seg->len - seg->gone_bytes);
        seg->len -= seg->gone_bytes;
        seg->first += seg->gone_items;
        seg->n -= seg->gone_items;
        seg->gone_bytes = 0;
        seg->gone_items = 0;
    }
    grow(c, seg, seg->len + len);
    memcpy(seg->bytes + seg->len, bytes, len);
    seg->len += len;
    seg->n += n;
}

static bool continues(const struct collector *c, const struct segment *seg, uint64_t first, size_t len)
{
    return seg && !seg->spilled && !seg->repeated && seg->first + seg->n == first && seg->len + len <= segment_limit(c);
}

static struct segment *new_segment(struct collector *c, uint64_t first)
{
    struct segment *seg = xcalloc(1, sizeof *seg);
    seg->first = first;
    count(c, sizeof *seg, 0);
    return seg;
}

static bool overlaps(const struct segments *t, uint64_t first, uint64_t n)
{
    const struct segment *before = segments_at_or_before(t, first);
    const struct segment *after = segments_after(t, first);
    return (before && before->first + before->n > first) || (after && after->first < first + n);
}

/* For completion order: records the range as added, and merges it with adjacent ranges. */
static void note_range(struct collector *c, uint64_t first, uint64_t n)
{
    struct segment *before = segments_at_or_before(&c->taken, first);
    struct segment *after = segments_after(&c->taken, first);
    if (!before || before->first + before->n != first) {
        before = new_segment(c, first);
        segments_put(&c->taken, before);
    }
    before->n += n;
    if (after && after->first == first + n) {
        before->n += after->n;
        segments_take(&c->taken, after);
        free_segment(c, after);
    }
}

static bool is_duplicate(const struct collector *c, uint64_t first, uint64_t n)
{
    if (!in_input_order(c)) return overlaps(&c->taken, first, n);
    return first < c->next || overlaps(&c->held, first, n) || overlaps(&c->spilled, first, n);
}

static void enqueue(struct collector *c, struct segment *seg)
{
    if (c->queue_last)
        c->queue_last->next = seg;
    else
        c->queue = seg;
    c->queue_last = seg;
}

/* Returns the segment to which the lines of the items from `first` on must be appended. If no existing segment fits,
 * makes a new one. */
static struct segment *segment_for(struct collector *c, uint64_t first, size_t len, bool repeated)
{
    struct segment *seg = in_input_order(c) ? segments_at_or_before(&c->held, first) : c->queue_last;
    if (!repeated && continues(c, seg, first, len)) return seg;
    seg = new_segment(c, first);
    seg->repeated = repeated;
    if (in_input_order(c))
        segments_put(&c->held, seg);
    else
        enqueue(c, seg);
    return seg;
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

static bool unspill(struct collector *c, struct segment *seg)
{
    if (seg->len > COLLECTOR_SLICE_BYTES && c->config.spill.map) return map(c, seg);
    if (!memory_has_room(seg->len)) return false;
    grow(c, seg, seg->len);
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

/* Spills the last runs in input order, but not the run that is read next. It spills a little more than it must, so that
 * a full collector does not write with every answer. It does not spill much more, because a long write blocks the
 * loop. */
static enum collector_status spill_input_order(struct collector *c)
{
    size_t cap = memory_budget_share(c->config.shared, c->config.memory_cap);
    size_t room = cap / 4 < SPILL_STEP_BYTES ? cap / 4 : SPILL_STEP_BYTES;
    while (held_bytes(c) > cap - room) {
        struct segment *seg = c->spilling ? c->spilling : segments_last(&c->held);
        if (!seg || seg->first <= c->next) break;
        if (!spill(c, seg)) return COLLECTOR_SPILL_FAILED;
        if (c->spilling) return COLLECTOR_OK;
        segments_take(&c->held, seg);
        segments_put(&c->spilled, seg);
    }
    stop_spilling(c); /* the segment is read next, or now fits into memory */
    return COLLECTOR_OK;
}

static void begin_spilling(struct collector *c, struct segment *seg)
{
    c->spilling = seg;
    c->written = 0;
}

/* Spills the last run of the queue if that run is long enough to be worth a write. The runs before it fit within the
 * cap or are spilled. */
static enum collector_status spill_queue_end(struct collector *c)
{
    struct segment *seg = c->spilling ? c->spilling : c->queue_last;
    if (!seg || seg == c->queue || seg->spilled || seg->len < segment_limit(c) / 2) {
        stop_spilling(c);
        return COLLECTOR_OK;
    }
    if (!spill(c, seg)) return COLLECTOR_SPILL_FAILED;
    /* While this segment was written, more segments were added after it. If the next segment is large, its write begins
     * now. */
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

static void drop_spare(struct collector *c)
{
    free(c->spare);
    c->spare = NULL;
}

/* Records that the answers to items first .. first + n - 1 are in a segment now. Spills if memory exceeds the cap. */
static enum collector_status note_added(struct collector *c, uint64_t first, uint64_t n)
{
    if (!in_input_order(c)) note_range(c, first, n);
    if (c->spare && memory_is_short(c)) drop_spare(c);
    if (!c->config.spill.write || c->config.memory_cap == 0) return COLLECTOR_OK;
    if (held_bytes(c) <= memory_budget_share(c->config.shared, c->config.memory_cap)) return COLLECTOR_OK;
    return in_input_order(c) ? spill_input_order(c) : spill_queue_end(c);
}

static enum collector_status add(struct collector *c, uint64_t first, uint64_t n, const char *bytes, size_t len,
                                 bool repeated)
{
    if (n == 0) return COLLECTOR_OK;
    if (is_duplicate(c, first, n)) return COLLECTOR_DUPLICATE;
    append(c, segment_for(c, first, len, repeated), n, bytes, len);
    return note_added(c, first, n);
}

enum collector_status collector_take(struct collector *c, uint64_t first, size_t n, struct buf *lines)
{
    if (lines->len < SEGMENT_BYTES) return add(c, first, n, lines->data, lines->len, false);
    if (n == 0) return COLLECTOR_OK;
    if (is_duplicate(c, first, n)) return COLLECTOR_DUPLICATE;
    struct segment *seg = segment_for(c, first, lines->len, false);
    buf_trim(lines);
    seg->alloc = lines->alloc;
    seg->bytes = buf_detach(lines, &seg->len);
    seg->n = n;
    count(c, seg->alloc, 0);
    return note_added(c, first, n);
}

enum collector_status collector_add(struct collector *c, uint64_t first, size_t n, const char *bytes, size_t len)
{
    return add(c, first, n, bytes, len, false);
}

enum collector_status collector_add_repeated(struct collector *c, uint64_t first, uint64_t n, const char *line,
                                             size_t len)
{
    return add(c, first, n, line, len, n > 1);
}

/* Returns the segment that is read next, or NULL. */
static struct segment *due(struct collector *c)
{
    if (!in_input_order(c)) return c->queue;
    struct segment *seg = segments_first(&c->held);
    if (seg && seg->first + seg->gone_items == c->next) return seg;
    seg = segments_first(&c->spilled);
    return seg && seg->first == c->next ? seg : NULL;
}

bool collector_peek(struct collector *c, struct answer_run *run, enum collector_status *status)
{
    *status = COLLECTOR_OK;
    struct segment *seg = c->shown = due(c);
    if (!seg) return false;
    if (seg->spilled) {
        if (!unspill(c, seg)) {
            *status = COLLECTOR_SPILL_FAILED;
            return false;
        }
        if (in_input_order(c)) {
            segments_take(&c->spilled, seg);
            segments_put(&c->held, seg);
        }
    }
    *run = (struct answer_run){.first = seg->first + seg->gone_items,
                               .n = (size_t)(seg->n - seg->gone_items),
                               .bytes = seg->bytes + seg->gone_bytes,
                               .len = seg->len - seg->gone_bytes,
                               .repeated = seg->repeated};
    return true;
}

void collector_consume(struct collector *c, size_t n, size_t len)
{
    struct segment *seg = c->shown;
    if (!seg || n > seg->n - seg->gone_items || (!seg->repeated && len > seg->len - seg->gone_bytes))
        BUG("consumed more than was shown");
    seg->gone_items += n;
    if (!seg->repeated) seg->gone_bytes += len;
    c->next += n;
    if (seg->gone_items < seg->n) return;
    if (in_input_order(c)) {
        segments_take(&c->held, seg);
    } else {
        c->queue = seg->next;
        if (!c->queue) c->queue_last = NULL;
    }
    c->shown = NULL;
    free_segment(c, seg);
}

size_t collector_memory_bytes(const struct collector *c)
{
    return c->memory_bytes;
}

uint64_t collector_spilled_bytes(const struct collector *c)
{
    return c->spilled_bytes;
}
