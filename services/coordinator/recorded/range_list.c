#include "coordinator/recorded/range_list.h"

void range_list_release(struct range_list *l)
{
    free(l->ranges);
    *l = (struct range_list){0};
}

static uint64_t end_of(const struct index_range *r)
{
    return r->first + r->n;
}

void range_list_add(struct range_list *l, uint64_t first, uint64_t n)
{
    struct index_range *last = l->count ? &l->ranges[l->count - 1] : NULL;
    if (n == 0) return;
    if (last && end_of(last) == first) {
        last->n += n;
        return;
    }
    if (l->count == l->alloc) {
        l->alloc = l->alloc ? 2 * l->alloc : 8;
        l->ranges = xrealloc(l->ranges, l->alloc * sizeof *l->ranges);
    }
    l->ranges[l->count++] = (struct index_range){first, n};
}

static int compare(const void *a, const void *b)
{
    const struct index_range *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

void range_list_order(struct range_list *l)
{
    if (l->count > 1) qsort(l->ranges, l->count, sizeof *l->ranges, compare);
}

void range_list_join(struct range_list *l)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->count; i++) {
        struct index_range next = l->ranges[i], *last = kept ? &l->ranges[kept - 1] : NULL;
        if (!last || end_of(last) < next.first)
            l->ranges[kept++] = next;
        else if (end_of(last) < end_of(&next))
            last->n = end_of(&next) - last->first;
    }
    l->count = kept;
}

void range_list_sort(struct range_list *l)
{
    range_list_order(l);
    range_list_join(l);
}

void range_list_merge(struct range_list *l, const struct range_list *more)
{
    struct range_list both = {0};
    for (size_t i = 0, k = 0; i < l->count || k < more->count;) {
        bool is_next = k == more->count || (i < l->count && l->ranges[i].first <= more->ranges[k].first);
        const struct index_range *next = is_next ? &l->ranges[i++] : &more->ranges[k++];
        range_list_add(&both, next->first, next->n);
    }
    range_list_join(&both);
    range_list_release(l);
    *l = both;
}

void range_list_gaps(const struct range_list *l, uint64_t total, struct range_list *gaps)
{
    uint64_t at = 0;
    for (size_t i = 0; i < l->count && at < total; i++) {
        uint64_t first = l->ranges[i].first < total ? l->ranges[i].first : total;
        if (first > at) range_list_add(gaps, at, first - at);
        if (end_of(&l->ranges[i]) > at) at = end_of(&l->ranges[i]);
    }
    if (at < total) range_list_add(gaps, at, total - at);
}

void range_list_intersect(const struct range_list *a, const struct range_list *b, struct range_list *both)
{
    for (size_t i = 0, k = 0; i < a->count && k < b->count;) {
        const struct index_range *x = &a->ranges[i], *y = &b->ranges[k];
        uint64_t from = x->first > y->first ? x->first : y->first;
        uint64_t to = end_of(x) < end_of(y) ? end_of(x) : end_of(y);
        if (from < to) range_list_add(both, from, to - from);
        if (end_of(x) <= end_of(y))
            i++;
        else
            k++;
    }
}

void range_list_remove(struct range_list *l, uint64_t first, uint64_t n)
{
    struct range_list rest = {0};
    for (size_t i = 0; i < l->count; i++) {
        uint64_t from = l->ranges[i].first, to = end_of(&l->ranges[i]);
        if (from < first) range_list_add(&rest, from, (to < first ? to : first) - from);
        if (to > first + n)
            range_list_add(&rest, from > first + n ? from : first + n, to - (from > first + n ? from : first + n));
    }
    range_list_release(l);
    *l = rest;
}

uint64_t range_list_total(const struct range_list *l)
{
    uint64_t total = 0;
    for (size_t i = 0; i < l->count; i++) total += l->ranges[i].n;
    return total;
}
