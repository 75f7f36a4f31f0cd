#include "coordinator/sched/scheduler_internal.h"

/* A binary heap from 1, so that place 0 can mean "not set". */
static void place(struct sched_heap *h, uint32_t i, struct sched_timer *t)
{
    h->timers[i] = t;
    t->place = i;
}

static void sift_up(struct sched_heap *h, uint32_t i, struct sched_timer *t)
{
    for (; i > 1 && h->timers[i / 2]->at_ns > t->at_ns; i /= 2) place(h, i, h->timers[i / 2]);
    place(h, i, t);
}

static void sift_down(struct sched_heap *h, uint32_t i, struct sched_timer *t)
{
    for (;;) {
        uint32_t child = 2 * i;
        if (child > h->n) break;
        if (child < h->n && h->timers[child + 1]->at_ns < h->timers[child]->at_ns) child++;
        if (h->timers[child]->at_ns >= t->at_ns) break;
        place(h, i, h->timers[child]);
        i = child;
    }
    place(h, i, t);
}

void timer_set(struct sched_heap *h, struct sched_timer *t, uint64_t at_ns)
{
    if (at_ns == SCHED_NEVER) {
        timer_clear(h, t);
        return;
    }
    if (t->place != 0) {
        bool earlier = at_ns < t->at_ns;
        t->at_ns = at_ns;
        if (earlier)
            sift_up(h, t->place, t);
        else
            sift_down(h, t->place, t);
        return;
    }
    if (h->n + 1 >= h->alloc) {
        h->alloc = h->alloc ? 2 * h->alloc : 64;
        h->timers = xrealloc(h->timers, h->alloc * sizeof(struct sched_timer *));
    }
    t->at_ns = at_ns;
    h->n++;
    sift_up(h, h->n, t);
}

void timer_clear(struct sched_heap *h, struct sched_timer *t)
{
    uint32_t i = t->place;
    if (i == 0) return;
    t->place = 0;
    struct sched_timer *last = h->timers[h->n--];
    if (last == t) return;
    if (i > 1 && h->timers[i / 2]->at_ns > last->at_ns)
        sift_up(h, i, last);
    else
        sift_down(h, i, last);
}

void sched_list_init(struct sched_list *l)
{
    l->head.prev = l->head.next = &l->head;
    l->n = 0;
}

static void insert(struct sched_list *l, struct sched_link *k, struct sched_link *after)
{
    k->prev = after;
    k->next = after->next;
    after->next->prev = k;
    after->next = k;
    l->n++;
}

void sched_list_push_back(struct sched_list *l, struct sched_link *k)
{
    insert(l, k, l->head.prev);
}

void sched_list_push_front(struct sched_list *l, struct sched_link *k)
{
    insert(l, k, &l->head);
}

void sched_list_remove(struct sched_list *l, struct sched_link *k)
{
    k->prev->next = k->next;
    k->next->prev = k->prev;
    k->prev = k->next = NULL;
    l->n--;
}

struct sched_link *sched_list_next(const struct sched_list *l, const struct sched_link *at)
{
    struct sched_link *next = at ? at->next : l->head.next;
    return next == &l->head ? NULL : next;
}

/* splitmix64: small, good enough for jitter and choices, and the same everywhere. */
uint64_t random_u64(struct sched_random *r)
{
    uint64_t z = (r->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint32_t random_below(struct sched_random *r, uint32_t n)
{
    return (uint32_t)(((random_u64(r) >> 32) * n) >> 32);
}

double random_unit(struct sched_random *r)
{
    return (double)(random_u64(r) >> 11) * 0x1p-53;
}
