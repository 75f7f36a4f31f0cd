#include "cli/blocks/block_cut.h"

#define COUNTED_BYTES (64u << 10) /* how much is read at once to count records */

/* Ends the block. The next one begins at the cut. */
static size_t cut_at(struct block_cut *c, size_t cut)
{
    c->counted = c->from = c->group_end = 0;
    return cut;
}

/* Call it if the data has no cut at `from` or later. Sets `from` to the first place where more bytes can make a cut. */
static void skip_data(struct block_cut *c, size_t len)
{
    size_t ahead = record_ends_ahead(&c->ends);
    if (len >= ahead && len - ahead + 1 > c->from) c->from = len - ahead + 1;
}

/* Sets `from` to a place after the cut, so that the next cut can be found. */
static void pass_cut(struct block_cut *c, size_t cut)
{
    c->from = cut + (c->ends.end_len ? c->ends.end_len : 1);
    c->counted++;
}

static size_t find_record(struct block_cut *c, const char *data, size_t len, bool ended)
{
    size_t cut;
    while ((cut = record_ends_next(&c->ends, data, len, c->from ? c->from : 1))) {
        pass_cut(c, cut);
        if (c->counted == c->records) return cut_at(c, cut);
    }
    if (ended) return cut_at(c, len);
    skip_data(c, len);
    return 0;
}

/* Finds the end of the last group that fits. If no group fits, finds the end of the first group. */
static size_t find_group(struct block_cut *c, const char *data, size_t len, bool ended)
{
    size_t cut;
    while ((cut = record_ends_next(&c->ends, data, len, c->from ? c->from : 1))) {
        if (cut > c->max && c->group_end) return cut_at(c, c->group_end);
        pass_cut(c, cut);
        if (c->counted % c->group == 0) c->group_end = cut;
    }
    if (c->group_end && (ended || len >= c->max + record_ends_ahead(&c->ends))) return cut_at(c, c->group_end);
    if (ended) return cut_at(c, len);
    skip_data(c, len);
    return 0;
}

/* Finds the end of a block whose first record is longer than `max`: the block is this record. */
static size_t find_after_max(struct block_cut *c, const char *data, size_t len, bool ended)
{
    size_t cut = record_ends_next(&c->ends, data, len, c->from);
    if (!cut && ended) cut = len;
    if (cut) return cut_at(c, cut);
    skip_data(c, len);
    return 0;
}

size_t block_cut_find(struct block_cut *c, const char *data, size_t len, bool ended)
{
    if (c->records) return find_record(c, data, len, ended);
    if (c->group) return find_group(c, data, len, ended);
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
    size_t least = (c->records && c->max > COUNTED_BYTES ? COUNTED_BYTES : c->max) + record_ends_ahead(&c->ends);
    return len < least ? least : len + len / 2 + 1;
}
