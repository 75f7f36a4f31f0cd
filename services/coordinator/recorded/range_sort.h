/*
 * Sorts a list of ranges in slices. A job can have millions of ranges, and sorting all of them at once takes longer
 * than a turn of the loop may take. Pure.
 */
#ifndef FANTAIL_COORDINATOR_RECORDED_RANGE_SORT_H
#define FANTAIL_COORDINATOR_RECORDED_RANGE_SORT_H

#include "coordinator/recorded/range_list.h"

/* A zeroed struct means that nothing is being sorted. */
struct range_sort {
    struct range_list *list; /* NULL: nothing is being sorted */

    /* Private. */
    struct index_range *merged; /* owned; has room for all ranges */
    size_t width;       /* the list consists of sorted pieces of this many ranges; 0: not sorted in pieces yet */
    size_t begin;       /* the first range of the piece, or of the pair of pieces, that is being sorted */
    size_t left, right; /* how many ranges of each piece of the pair were merged */
};

/* Begins to sort the list. The list is borrowed, and must not be used until it is sorted. */
void range_sort_begin(struct range_sort *s, struct range_list *list);
/* Continues the sort, for about the time that it takes to move `most` ranges. Returns true when the list is sorted and
 * all ranges that touch or overlap have been joined, as after range_list_sort(). */
MUST_CHECK bool range_sort_step(struct range_sort *s, size_t most);
/* Gives up sorting. Releasing a zeroed struct is fine. */
void range_sort_release(struct range_sort *s);

#endif
