/*
 * A doubly linked list whose links are members of the listed structs. CONTAINER_OF converts a link to its struct. The
 * list allocates nothing, counts its members, and does not own the members. A struct can be on several lists at the
 * same time; it needs one link for each list.
 */
#ifndef FANTAIL_COMMON_BASE_LIST_H
#define FANTAIL_COMMON_BASE_LIST_H

#include "common/base/base.h"

struct list_link {
    struct list_link *prev, *next;
};

struct list {
    struct list_link head;
    size_t n;
};

/* An initialised list holds pointers to itself, so do not move it. */
void list_init(struct list *l);
void list_push_back(struct list *l, struct list_link *k);
void list_push_front(struct list *l, struct list_link *k);
/* Removes `k`, which must be on this list. */
void list_remove(struct list *l, struct list_link *k);
/* Returns the link after `at`, or the first link if `at` is NULL. Returns NULL at the end. */
struct list_link *list_next(const struct list *l, const struct list_link *at);

#endif
