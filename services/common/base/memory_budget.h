/*
 * A memory limit that many users share, such as the jobs of a coordinator. The bytes of the limit that no user holds
 * are free. Each user may hold as many bytes as are free, but not more than the user's own cap. So while few bytes are
 * held, each user may hold many bytes. A user may always hold `floor` bytes, because a user with no memory could not
 * continue. `used` is the number of bytes that all users hold together. Pure.
 */
#ifndef FANTAIL_COMMON_BASE_MEMORY_BUDGET_H
#define FANTAIL_COMMON_BASE_MEMORY_BUDGET_H

#include "common/base/base.h"

struct memory_budget {
    size_t most;  /* 0: no limit */
    size_t floor; /* bytes that each user may hold even if nothing is left */
    size_t used;
};

/* Returns how many bytes one user may hold now. `cap` is the most that this user may ever hold. If m is NULL, returns
 * cap. */
static inline size_t memory_budget_share(const struct memory_budget *m, size_t cap)
{
    if (!m || m->most == 0) return cap;
    size_t left = m->most > m->used ? m->most - m->used : 0, share = left > m->floor ? left : m->floor;
    return share < cap ? share : cap;
}

/* Call it when the number of bytes that a user holds has changed from `before` to `now`. m may be NULL. */
static inline void memory_budget_count(struct memory_budget *m, size_t now, size_t before)
{
    if (m) m->used += now - before;
}

#endif
