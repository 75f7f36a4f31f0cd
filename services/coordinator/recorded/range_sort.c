#include "coordinator/recorded/range_sort.h"

/* A merge sort. The list is first sorted in pieces of PIECE ranges. Then adjacent pieces are merged in pairs, until one
 * piece is left. */
enum { PIECE = 512, PIECE_MOVES = 8 * PIECE };

void range_sort_begin(struct range_sort *s, struct range_list *list)
{
    *s = (struct range_sort){.list = list};
}

void range_sort_release(struct range_sort *s)
{
    free(s->merged);
    *s = (struct range_sort){0};
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Sorts the next piece. */
static void sort_piece(struct range_sort *s)
{
    struct range_list piece = {.ranges = s->list->ranges + s->begin, .count = least(PIECE, s->list->count - s->begin)};
    range_list_order(&piece);
    s->begin += piece.count;
    if (s->begin < s->list->count) return;
    s->begin = 0;
    s->width = PIECE;
}

/* Call it when all pairs of pieces have been merged. */
static void end_pass(struct range_sort *s)
{
    struct range_list *l = s->list;
    struct index_range *ranges = l->ranges;
    l->ranges = s->merged;
    s->merged = ranges;
    l->alloc = l->count;
    s->begin = 0;
    s->width *= 2;
}

/* Merges at most `most` ranges of the pair of pieces. Returns how many ranges it has merged. */
static size_t merge(struct range_sort *s, size_t most)
{
    const struct range_list *l = s->list;
    size_t middle = least(s->begin + s->width, l->count), end = least(middle + s->width, l->count);
    const struct index_range *a = l->ranges + s->begin + s->left, *a_end = l->ranges + middle;
    const struct index_range *b = l->ranges + middle + s->right, *b_end = l->ranges + end;
    if (!s->merged) BUG("there is no room to merge");
    struct index_range *out = s->merged + s->begin + s->left + s->right;
    size_t n = 0;
    for (; n < most && (a < a_end || b < b_end); n++)
        out[n] = b == b_end || (a < a_end && a->first <= b->first) ? *a++ : *b++;
    s->left = (size_t)(a - l->ranges) - s->begin;
    s->right = (size_t)(b - l->ranges) - middle;
    if (a < a_end || b < b_end) return n;
    s->begin = end;
    s->left = s->right = 0;
    if (end == l->count) end_pass(s);
    return n;
}

bool range_sort_step(struct range_sort *s, size_t most)
{
    size_t moved = 0, count = s->list->count;
    if (!s->merged && count > PIECE) s->merged = xcalloc(count, sizeof *s->merged);
    while (count > 0 && (s->width == 0 || s->width < count)) {
        if (moved >= most) return false;
        if (s->width == 0) {
            sort_piece(s);
            moved += PIECE_MOVES;
        } else {
            moved += merge(s, most - moved);
        }
    }
    range_list_join(s->list);
    range_sort_release(s);
    return true;
}
