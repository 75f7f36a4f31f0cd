#include "coordinator/answers/segments.h"

static uint32_t next_priority(struct segments *t)
{
    t->random = t->random * 1664525u + 1013904223u;
    return t->random ^ t->random >> 15;
}

/* Splits a tree into two: the segments whose `first` is below `index`, and all other segments. */
static void split(struct segment *at, uint64_t index, struct segment **below, struct segment **above)
{
    while (at) {
        if (at->first < index) {
            *below = at;
            below = &at->right;
            at = at->right;
        } else {
            *above = at;
            above = &at->left;
            at = at->left;
        }
    }
    *below = *above = NULL;
}

static struct segment *join(struct segment *below, struct segment *above)
{
    struct segment *root = NULL, **hook = &root;
    while (below && above) {
        if (below->priority > above->priority) {
            *hook = below;
            hook = &below->right;
            below = below->right;
        } else {
            *hook = above;
            hook = &above->left;
            above = above->left;
        }
    }
    *hook = below ? below : above;
    return root;
}

void segments_put(struct segments *t, struct segment *seg)
{
    seg->priority = next_priority(t);
    struct segment **hook = &t->root;
    while (*hook && (*hook)->priority >= seg->priority)
        hook = seg->first < (*hook)->first ? &(*hook)->left : &(*hook)->right;
    struct segment *rest = *hook;
    *hook = seg;
    split(rest, seg->first, &seg->left, &seg->right);
    t->n++;
}

void segments_take(struct segments *t, struct segment *seg)
{
    struct segment **hook = &t->root;
    while (*hook && *hook != seg) hook = seg->first < (*hook)->first ? &(*hook)->left : &(*hook)->right;
    if (!*hook) BUG("segment %llu is not in this tree", (unsigned long long)seg->first);
    *hook = join(seg->left, seg->right);
    seg->left = seg->right = NULL;
    t->n--;
}

struct segment *segments_first(const struct segments *t)
{
    struct segment *at = t->root;
    while (at && at->left) at = at->left;
    return at;
}

struct segment *segments_last(const struct segments *t)
{
    struct segment *at = t->root;
    while (at && at->right) at = at->right;
    return at;
}

struct segment *segments_at_or_before(const struct segments *t, uint64_t index)
{
    struct segment *best = NULL;
    for (struct segment *at = t->root; at;) {
        if (at->first <= index) {
            best = at;
            at = at->right;
        } else {
            at = at->left;
        }
    }
    return best;
}

struct segment *segments_after(const struct segments *t, uint64_t index)
{
    struct segment *best = NULL;
    for (struct segment *at = t->root; at;) {
        if (at->first > index) {
            best = at;
            at = at->left;
        } else {
            at = at->right;
        }
    }
    return best;
}

/* Records. */

bool records_extend(struct segment *seg, uint64_t first, uint64_t n, size_t len)
{
    struct record r;
    if (!seg->tail_is_open) return false;
    memcpy(&r, seg->bytes + seg->tail, sizeof r);
    if (r.first + r.n != first) return false;
    r.n += n;
    r.len += len;
    memcpy(seg->bytes + seg->tail, &r, sizeof r);
    return true;
}

void records_shift(struct segment *seg)
{
    if (seg->tail_is_open) seg->tail -= seg->gone_bytes;
}

struct record records_next(struct segment *seg)
{
    if (seg->now.n > 0) return seg->now;
    if (seg->gone_bytes == seg->tail) seg->tail_is_open = false;
    memcpy(&seg->now, seg->bytes + seg->gone_bytes, sizeof seg->now);
    seg->gone_bytes += sizeof seg->now;
    return seg->now;
}

bool records_consume(struct segment *seg, uint64_t n, size_t len)
{
    if (n > seg->now.n || len > seg->now.len) BUG("consumed more than was shown");
    seg->now.first += n;
    seg->now.n -= n;
    seg->now.len -= len;
    seg->gone_bytes += len;
    return seg->now.n == 0 && seg->gone_bytes == seg->len;
}
