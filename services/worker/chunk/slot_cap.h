/*
 * The cap on the number of processes that run items at the same time, over all tasks of a worker. Each task has a user
 * of the cap. A user takes a slot before an idle process gets items, and returns it when the process has no items. If
 * no slot is free, the users wait in line, and each free slot is offered to the user with the fewest slots. So a task
 * that has no running items waits only until one slot is free, however many items the other tasks have. Pure. Owner:
 * the worker.
 */
#ifndef FANTAIL_WORKER_CHUNK_SLOT_CAP_H
#define FANTAIL_WORKER_CHUNK_SLOT_CAP_H

#include "common/base/list.h"

struct slot_cap {
    unsigned max, used;
    struct list waiting; /* users that wait for a slot */
    bool offering;
};

/* Embedded in its owner. A zeroed user holds no slot. */
struct slot_user {
    struct slot_cap *cap; /* NULL: there is no cap */
    struct list_link link;
    unsigned used;
    bool waits;   /* the user is in line */
    bool offered; /* the user may take one slot, although others wait */
    void (*offer)(struct slot_user *u);
};

void slot_cap_init(struct slot_cap *cap, unsigned max);
/* Returns how many slots are free. UINT_MAX: there is no cap. */
unsigned slot_cap_free(const struct slot_cap *cap);

/* `offer` is called when the user may take a slot. If the user needs a slot, `offer` must take it. */
void slot_user_init(struct slot_user *u, struct slot_cap *cap, void (*offer)(struct slot_user *u));
void slot_user_release(struct slot_user *u);
/* Sets how many slots the user has in use. */
void slot_user_set(struct slot_user *u, unsigned used);
/* Returns whether the user may take one more slot now. If the user may not, puts the user in line. */
MUST_CHECK bool slot_user_may_take(struct slot_user *u);
/* Returns whether the user may give more items to a process that has a slot. While a user with fewer slots waits, a
 * process that has a slot gets no more items, so that its slot becomes free. */
bool slot_user_may_keep(const struct slot_user *u);
/* Offers the free slots to the users in line. Call it when slots may have become free. */
void slot_cap_offer(struct slot_cap *cap);

#endif
