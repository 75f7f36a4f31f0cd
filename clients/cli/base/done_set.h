/* The indexes of the items that an earlier run has done. Pure. */
#ifndef FANTAIL_CLI_BASE_DONE_SET_H
#define FANTAIL_CLI_BASE_DONE_SET_H

#include "common/base/base.h"

#define DONE_SET_MAX 10000000000ull /* smaller indexes can be in the set; their bits take up to 1.25 GB */

/* A zeroed struct is an empty set. */
struct done_set {
    uint64_t *bits;
    size_t words; /* 64 bits each */
    uint64_t count;
};

/* Where the last search of done_set_nth_left() ended. A zeroed struct is the beginning. */
struct done_place {
    size_t word;
    uint64_t before; /* how many indexes before this word are not in the set */
};

void done_set_release(struct done_set *s);
/* Returns false if the index is too large. */
MUST_CHECK bool done_set_add(struct done_set *s, uint64_t index);
/* Counts the indexes that are not in the set, from 0, and returns the index whose count is n. The search is fast if n
 * is near the n of the last search with `at`. The set must not have changed since that search. */
uint64_t done_set_nth_left(const struct done_set *s, uint64_t n, struct done_place *at);

/* Returns how many indexes of the set are less than `end`. */
uint64_t done_set_count_below(const struct done_set *s, uint64_t end);

static inline bool done_set_has(const struct done_set *s, uint64_t index)
{
    return index / 64 < s->words && (s->bits[index / 64] >> (index % 64) & 1);
}

#endif
