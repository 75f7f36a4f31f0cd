#include "worker/chunk/slot_cap.h"

#include <limits.h>

void slot_cap_init(struct slot_cap *cap, unsigned max)
{
    *cap = (struct slot_cap){.max = max};
    list_init(&cap->waiting);
}

unsigned slot_cap_free(const struct slot_cap *cap)
{
    if (!cap) return UINT_MAX;
    return cap->used < cap->max ? cap->max - cap->used : 0;
}

static void leave_line(struct slot_user *u)
{
    if (u->waits) list_remove(&u->cap->waiting, &u->link);
    u->waits = false;
}

void slot_user_init(struct slot_user *u, struct slot_cap *cap, void (*offer)(struct slot_user *u))
{
    *u = (struct slot_user){.cap = cap, .offer = offer};
}

void slot_user_release(struct slot_user *u)
{
    if (!u->cap) return;
    leave_line(u);
    slot_user_set(u, 0);
    u->cap = NULL;
}

void slot_user_set(struct slot_user *u, unsigned used)
{
    if (!u->cap) return;
    if (used > u->used) u->offered = false;
    u->cap->used += used - u->used;
    u->used = used;
}

bool slot_user_may_take(struct slot_user *u)
{
    if (!u->cap) return true;
    if (slot_cap_free(u->cap) > 0 && (u->offered || u->cap->waiting.n == 0)) return true;
    if (!u->waits) list_push_back(&u->cap->waiting, &u->link);
    u->waits = true;
    return false;
}

/* Returns the user that gets the next free slot: the one with the fewest slots. If several users have the fewest slots,
 * returns the one that has waited longest. NULL: no user waits. */
static struct slot_user *first_in_line(const struct slot_cap *cap)
{
    struct slot_user *first = NULL;
    for (struct list_link *at = list_next(&cap->waiting, NULL); at; at = list_next(&cap->waiting, at)) {
        struct slot_user *u = CONTAINER_OF(at, struct slot_user, link);
        if (!first || u->used < first->used) first = u;
    }
    return first;
}

bool slot_user_may_keep(const struct slot_user *u)
{
    const struct slot_user *first = u->cap ? first_in_line(u->cap) : NULL;
    return !first || first->used >= u->used;
}

void slot_cap_offer(struct slot_cap *cap)
{
    if (!cap || cap->offering) return;
    cap->offering = true;
    for (struct slot_user *u; slot_cap_free(cap) > 0 && (u = first_in_line(cap)) != NULL;) {
        leave_line(u);
        u->offered = true;
        u->offer(u);
        u->offered = false;
    }
    cap->offering = false;
}
