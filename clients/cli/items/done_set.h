/* The indexes of the items that an earlier run has done. Pure. */
#ifndef FANTAIL_CLI_ITEMS_DONE_SET_H
#define FANTAIL_CLI_ITEMS_DONE_SET_H

#include "common/base/base.h"

#define DONE_SET_MAX 10000000000ull /* this and larger indexes are not kept; the bits of all others take 1.25 GB */

/* A zeroed struct is an empty set. */
struct done_set {
    uint64_t *bits;
    size_t words; /* 64 bits each */
    uint64_t count;
};

void done_set_release(struct done_set *s);
/* Returns false if the index is too large. */
MUST_CHECK bool done_set_add(struct done_set *s, uint64_t index);

static inline bool done_set_has(const struct done_set *s, uint64_t index)
{
    return index / 64 < s->words && (s->bits[index / 64] >> (index % 64) & 1);
}

#endif
