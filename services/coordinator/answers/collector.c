#include "coordinator/answers/collector_internal.h"

struct collector *collector_new(const struct collector_config *config)
{
    struct collector *c = xcalloc(1, sizeof *c);
    c->config = *config;
    c->next = config->first_index;
    return c;
}

static bool free_tree(struct collector *c, struct segments *t, size_t *most)
{
    for (struct segment *seg; (seg = segments_first(t)) != NULL; --*most) {
        if (*most == 0) return false;
        segments_take(t, seg);
        segment_free(c, seg);
    }
    return true;
}

static bool free_queue(struct collector *c, size_t *most)
{
    for (struct segment *seg; (seg = c->queue) != NULL; --*most) {
        if (*most == 0) return false;
        c->queue = seg->next;
        segment_free(c, seg);
    }
    return true;
}

/* Frees at most `most` segments. Returns true when the whole collector has been freed. */
static bool free_some(struct collector *c, size_t most)
{
    if (!free_queue(c, &most) || !free_tree(c, &c->held, &most) || !free_tree(c, &c->spilled, &most) ||
        !free_tree(c, &c->taken, &most))
        return false;
    free(c->spare);
    free(c);
    return true;
}

void collector_bury(struct collector **buried, struct collector *c)
{
    if (!c) return;
    c->config.spill.empty = NULL;
    c->next_buried = *buried;
    *buried = c;
    collector_free_buried(buried);
}

void collector_free_buried(struct collector **buried)
{
    struct collector *c = *buried, *next = c ? c->next_buried : NULL;
    if (c && free_some(c, COLLECTOR_SLICE_RUNS)) *buried = next;
}

/* If at least half of the segment has been consumed, moves the rest to the front. So a move never copies more bytes
 * than were consumed. */
static void drop_consumed(struct segment *seg)
{
    if (seg->gone_bytes == 0 || seg->gone_bytes < seg->len - seg->gone_bytes) return;
    memmove(seg->bytes, seg->bytes + seg->gone_bytes, seg->len - seg->gone_bytes);
    records_shift(seg);
    seg->len -= seg->gone_bytes;
    seg->first += seg->gone_items;
    seg->n -= seg->gone_items;
    seg->gone_bytes = 0;
    seg->gone_items = 0;
}

static void append_bytes(struct collector *c, struct segment *seg, const void *bytes, size_t len)
{
    segment_grow(c, seg, seg->len + len);
    memcpy(seg->bytes + seg->len, bytes, len);
    seg->len += len;
}

static void append(struct collector *c, struct segment *seg, uint64_t n, const char *bytes, size_t len)
{
    drop_consumed(seg);
    append_bytes(c, seg, bytes, len);
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
    segment_count(c, sizeof *seg, 0);
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
        segment_free(c, after);
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

static struct segment *add_segment(struct collector *c, uint64_t first)
{
    struct segment *seg = new_segment(c, first);
    if (in_input_order(c))
        segments_put(&c->held, seg);
    else
        enqueue(c, seg);
    return seg;
}

/* For input order: if the next segment in memory follows directly and is not larger than this one, appends its bytes to
 * this segment. So each byte is copied only a few times. Without these joins, each item that is answered late would
 * leave a segment before it and a segment after it, however small these segments are. */
static void join_next(struct collector *c, struct segment *seg)
{
    struct segment *next = c->held.n > 1 ? segments_after(&c->held, seg->first) : NULL;
    if (!next || seg->first + seg->n != next->first || seg->repeated || next->repeated || next == c->spilling) return;
    if (next->len > seg->len || seg->len + next->len > segment_limit(c)) return;
    append(c, seg, next->n, next->bytes, next->len);
    segments_take(&c->held, next);
    segment_free(c, next);
}

static void add_in_order(struct collector *c, uint64_t first, uint64_t n, const char *bytes, size_t len)
{
    struct segment *seg = segments_at_or_before(&c->held, first);
    if (!continues(c, seg, first, len)) seg = add_segment(c, first);
    append(c, seg, n, bytes, len);
    join_next(c, seg);
}

/* For completion order: adds a record to the last segment, or adds lines to the last record of that segment. */
static void add_record(struct collector *c, uint64_t first, uint64_t n, const char *bytes, size_t len)
{
    const struct record r = {first, n, len};
    struct segment *seg = c->queue_last;
    bool fits = seg && seg->has_records && !seg->spilled && seg->len + sizeof r + len <= segment_limit(c);
    if (!fits) seg = add_segment(c, first);
    seg->has_records = true;
    drop_consumed(seg);
    if (!records_extend(seg, first, n, len)) {
        seg->tail = seg->len;
        seg->tail_is_open = true;
        append_bytes(c, seg, &r, sizeof r);
    }
    append_bytes(c, seg, bytes, len);
}

static void drop_spare(struct collector *c)
{
    free(c->spare);
    c->spare = NULL;
}

/* Records that the answers to items first .. first + n - 1 are in a segment now. If the memory of the collector exceeds
 * the cap, writes answers to the spill. */
static enum collector_status note_added(struct collector *c, uint64_t first, uint64_t n)
{
    if (!in_input_order(c)) note_range(c, first, n);
    if (c->spare && segment_memory_is_short(c)) drop_spare(c);
    return collector_spill_over(c);
}

static enum collector_status add(struct collector *c, uint64_t first, uint64_t n, const char *bytes, size_t len)
{
    if (n == 0) return COLLECTOR_OK;
    if (is_duplicate(c, first, n)) return COLLECTOR_DUPLICATE;
    if (in_input_order(c))
        add_in_order(c, first, n, bytes, len);
    else
        add_record(c, first, n, bytes, len);
    return note_added(c, first, n);
}

enum collector_status collector_take(struct collector *c, uint64_t first, size_t n, struct buf *lines)
{
    if (lines->len < SEGMENT_BYTES) return add(c, first, n, lines->data, lines->len);
    if (n == 0) return COLLECTOR_OK;
    if (is_duplicate(c, first, n)) return COLLECTOR_DUPLICATE;
    struct segment *seg = add_segment(c, first);
    buf_trim(lines);
    seg->alloc = lines->alloc;
    seg->bytes = buf_detach(lines, &seg->len);
    seg->n = n;
    segment_count(c, seg->alloc, 0);
    return note_added(c, first, n);
}

enum collector_status collector_add(struct collector *c, uint64_t first, size_t n, const char *bytes, size_t len)
{
    return add(c, first, n, bytes, len);
}

enum collector_status collector_add_repeated(struct collector *c, uint64_t first, uint64_t n, const char *line,
                                             size_t len)
{
    if (n <= 1) return add(c, first, n, line, len);
    if (is_duplicate(c, first, n)) return COLLECTOR_DUPLICATE;
    struct segment *seg = add_segment(c, first);
    seg->repeated = true;
    append(c, seg, n, line, len);
    return note_added(c, first, n);
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
        if (!segment_unspill(c, seg)) {
            *status = COLLECTOR_SPILL_FAILED;
            return false;
        }
        if (in_input_order(c)) {
            segments_take(&c->spilled, seg);
            segments_put(&c->held, seg);
        }
    }
    if (seg->has_records) {
        struct record r = records_next(seg);
        *run = (struct answer_run){r.first, (size_t)r.n, seg->bytes + seg->gone_bytes, r.len, false};
        return true;
    }
    *run = (struct answer_run){.first = seg->first + seg->gone_items,
                               .n = (size_t)(seg->n - seg->gone_items),
                               .bytes = seg->bytes + seg->gone_bytes,
                               .len = seg->len - seg->gone_bytes,
                               .repeated = seg->repeated};
    return true;
}

/* Call it when n items of a segment without records have been read. Returns whether the segment has been read
 * completely. */
static bool consume_items(struct collector *c, struct segment *seg, size_t n, size_t len)
{
    if (n > seg->n - seg->gone_items || (!seg->repeated && len > seg->len - seg->gone_bytes))
        BUG("consumed more than was shown");
    seg->gone_items += n;
    if (!seg->repeated) seg->gone_bytes += len;
    c->next += n;
    return seg->gone_items == seg->n;
}

void collector_consume(struct collector *c, size_t n, size_t len)
{
    struct segment *seg = c->shown;
    if (!seg) BUG("consumed, but nothing was shown");
    if (!(seg->has_records ? records_consume(seg, n, len) : consume_items(c, seg, n, len))) return;
    if (in_input_order(c)) {
        segments_take(&c->held, seg);
    } else {
        c->queue = seg->next;
        if (!c->queue) c->queue_last = NULL;
    }
    c->shown = NULL;
    segment_free(c, seg);
}

size_t collector_memory_bytes(const struct collector *c)
{
    return c->memory_bytes;
}

uint64_t collector_spilled_bytes(const struct collector *c)
{
    return c->spilled_bytes;
}
