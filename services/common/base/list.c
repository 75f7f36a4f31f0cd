#include "common/base/list.h"

void list_init(struct list *l)
{
    l->head.prev = l->head.next = &l->head;
    l->n = 0;
}

static void insert(struct list *l, struct list_link *k, struct list_link *after)
{
    k->prev = after;
    k->next = after->next;
    after->next->prev = k;
    after->next = k;
    l->n++;
}

void list_push_back(struct list *l, struct list_link *k)
{
    insert(l, k, l->head.prev);
}

void list_push_front(struct list *l, struct list_link *k)
{
    insert(l, k, &l->head);
}

void list_remove(struct list *l, struct list_link *k)
{
    k->prev->next = k->next;
    k->next->prev = k->prev;
    k->prev = k->next = NULL;
    l->n--;
}

struct list_link *list_next(const struct list *l, const struct list_link *at)
{
    struct list_link *next = at ? at->next : l->head.next;
    return next == &l->head ? NULL : next;
}
