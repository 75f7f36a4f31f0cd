/*
 * A list of ranges of item indexes. Such lists are used to find the items of a job that have no recorded answer yet.
 * Pure.
 */
#ifndef FANTAIL_COORDINATOR_RECORDED_RANGE_LIST_H
#define FANTAIL_COORDINATOR_RECORDED_RANGE_LIST_H

#include "common/base/base.h"

struct index_range {
    uint64_t first, n;
};

/* A zeroed list is empty. */
struct range_list {
    struct index_range *ranges; /* owned */
    size_t count, alloc;
};

/* Releasing a zeroed or released list is fine. */
void range_list_release(struct range_list *l);
/* Appends a range. If the range begins where the last range ends, makes the last range longer instead. n may be 0. */
void range_list_add(struct range_list *l, uint64_t first, uint64_t n);
/* Sorts the ranges by index, and joins ranges that touch or overlap. O(n log n). */
void range_list_sort(struct range_list *l);
/* The two halves of range_list_sort(): the first sorts the ranges, the second joins sorted ranges. */
void range_list_order(struct range_list *l);
void range_list_join(struct range_list *l);
/* Adds the ranges of `more`. Both lists must be sorted, and stay sorted. O(n). */
void range_list_merge(struct range_list *l, const struct range_list *more);
/* Appends to `gaps` the ranges of the indexes from 0 to total - 1 that are not in `l`. `l` must be sorted. */
void range_list_gaps(const struct range_list *l, uint64_t total, struct range_list *gaps);
/* Appends to `both` the ranges of the indexes that are in a and also in b. a and b must be sorted. */
void range_list_intersect(const struct range_list *a, const struct range_list *b, struct range_list *both);
/* Removes a range from the list, which must be sorted. */
void range_list_remove(struct range_list *l, uint64_t first, uint64_t n);
/* Returns how many indexes are in the list. The ranges must not overlap. */
uint64_t range_list_total(const struct range_list *l);

#endif
