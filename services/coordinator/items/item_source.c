#include "coordinator/items/item_source.h"

/* Upper limits for the length of the line of a generated item in bytes, including the newline. A generated item is a
 * number, or a span with two numbers. */
enum { RANGE_ITEM_BYTES = 21, SPAN_ITEM_BYTES = 56 };

static uint64_t take_indexes(uint64_t *next, uint64_t n, uint64_t *first)
{
    *first = *next;
    *next += n;
    return n;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t generated_item_bytes(const void *source)
{
    const struct generated_items *g = source;
    return g->spec->source == SOURCE_SPANS ? SPAN_ITEM_BYTES : RANGE_ITEM_BYTES;
}

static uint64_t cut_generated(void *source, uint64_t max_items, size_t max_bytes, uint64_t *first, struct buf *lines)
{
    struct generated_items *g = source;
    uint64_t fit = max_bytes / generated_item_bytes(g) + 1;
    uint64_t n = least(least(max_items, fit), g->spec->generated_count - g->next);
    if (!jobspec_write_items(g->spec, g->next, n, lines)) BUG("a buffer without a cap refused items");
    return take_indexes(&g->next, n, first);
}

static uint64_t drop_generated(void *source, uint64_t max_items, uint64_t *first)
{
    struct generated_items *g = source;
    return take_indexes(&g->next, least(max_items, g->spec->generated_count - g->next), first);
}

struct item_source generated_items_source(struct generated_items *g)
{
    static const struct item_source_ops ops = {cut_generated, drop_generated, generated_item_bytes};
    return (struct item_source){&ops, g};
}

static uint64_t cut_spooled(void *source, uint64_t max_items, size_t max_bytes, uint64_t *first, struct buf *lines)
{
    struct spooled_items *s = source;
    return take_indexes(&s->next, spool_cut(s->spool, max_items, max_bytes, lines), first);
}

static uint64_t drop_spooled(void *source, uint64_t max_items, uint64_t *first)
{
    struct spooled_items *s = source;
    return take_indexes(&s->next, spool_drop(s->spool, max_items), first);
}

static uint64_t spooled_item_bytes(const void *source)
{
    const struct spool *s = ((const struct spooled_items *)source)->spool;
    return s->items ? s->bytes / s->items : 0;
}

struct item_source spooled_items_source(struct spooled_items *s)
{
    static const struct item_source_ops ops = {cut_spooled, drop_spooled, spooled_item_bytes};
    return (struct item_source){&ops, s};
}
