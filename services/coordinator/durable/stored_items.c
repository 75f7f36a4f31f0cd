#include "coordinator/durable/stored_items.h"

/* The longest line of a generated item: {"start":a,"stop":b} with its newline. */
enum { GENERATED_ITEM_BYTES = 56 };

void stored_items_release(struct stored_items *s)
{
    spool_release(&s->spool);
    range_list_release(&s->ready);
}

/* Forgets the ranges that were taken, if they are at least half of all ranges. */
static void drop_taken(struct stored_items *s)
{
    size_t left = s->ready.count - s->at;
    if (s->at == 0 || s->at < left) return;
    memmove(s->ready.ranges, s->ready.ranges + s->at, left * sizeof *s->ready.ranges);
    s->ready.count = left;
    s->at = 0;
}

void stored_items_ready(struct stored_items *s, uint64_t first, uint64_t n)
{
    drop_taken(s);
    range_list_add(&s->ready, first, n);
    s->left += n;
}

void stored_items_ready_lines(struct stored_items *s, uint64_t first, uint64_t n, struct buf *lines)
{
    stored_items_ready(s, first, n);
    spool_take(&s->spool, lines, n);
}

size_t stored_items_ranges(const struct stored_items *s)
{
    return s->ready.count - s->at;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Returns how many items, at most `most`, can be taken from the next ready range. Sets *first to the first of these
 * items. */
static uint64_t next_range(const struct stored_items *s, uint64_t most, uint64_t *first)
{
    if (s->at == s->ready.count) return 0;
    const struct index_range *r = &s->ready.ranges[s->at];
    *first = r->first + s->taken;
    return least(most, r->n - s->taken);
}

static uint64_t take(struct stored_items *s, uint64_t n)
{
    s->taken += n;
    s->left -= n;
    if (n > 0 && s->taken == s->ready.ranges[s->at].n) {
        s->at++;
        s->taken = 0;
    }
    return n;
}

static uint64_t cut(void *source, uint64_t max_items, size_t max_bytes, uint64_t *first, struct buf *lines)
{
    struct stored_items *s = source;
    uint64_t most = s->generated ? least(max_items, max_bytes / GENERATED_ITEM_BYTES + 1) : max_items;
    uint64_t n = next_range(s, most, first);
    if (n == 0) return 0;
    if (!s->generated) return take(s, spool_cut(&s->spool, n, max_bytes, lines));
    if (!jobspec_write_items(s->generated, *first, n, lines)) BUG("a buffer without a cap refused");
    return take(s, n);
}

static uint64_t drop(void *source, uint64_t max_items, uint64_t *first)
{
    struct stored_items *s = source;
    uint64_t n = next_range(s, max_items, first);
    if (n > 0 && !s->generated) n = spool_drop(&s->spool, n);
    return take(s, n);
}

static uint64_t item_bytes(const void *source)
{
    const struct stored_items *s = source;
    if (s->generated) return GENERATED_ITEM_BYTES;
    return s->spool.items ? s->spool.bytes / s->spool.items : 0;
}

struct item_source stored_items_source(struct stored_items *s)
{
    static const struct item_source_ops ops = {cut, drop, item_bytes};
    return (struct item_source){&ops, s};
}
