#include "cli/blocks/block_cut.h"

/* The first record is longer than `max`. */
static size_t find_after_max(struct block_cut *c, const char *data, size_t len, bool ended)
{
    size_t cut = record_ends_next(&c->ends, data, len, c->from), seen = len - record_ends_ahead(&c->ends) + 1;
    if (!cut && ended) cut = len;
    if (!cut && seen > c->from) c->from = seen;
    if (cut) c->from = 0;
    return cut;
}

size_t block_cut_find(struct block_cut *c, const char *data, size_t len, bool ended)
{
    if (ended && len <= c->max) return len;
    if (!ended && len < c->max + record_ends_ahead(&c->ends)) return 0;
    if (c->from == 0) {
        size_t cut = record_ends_last(&c->ends, data, len, c->max);
        if (cut) return cut;
        c->from = c->max + 1;
    }
    return find_after_max(c, data, len, ended);
}

size_t block_cut_wants(const struct block_cut *c, size_t len)
{
    size_t least = c->max + record_ends_ahead(&c->ends);
    return len < least ? least : len + len / 2 + 1;
}
