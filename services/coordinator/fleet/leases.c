#include "coordinator/fleet/leases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEASE_RENEWALS 3 /* a lease lasts for this many renewals */
#define STALL_NS       (2 * LEASES_TICK_MS * NS_PER_MS)

struct lease {
    char address[LEASE_ADDRESS_MAX];
    char worker[LEASE_WORKER_MAX];
    struct heap_node end; /* when the lease runs out, or when the bar is lifted */
    bool barred;          /* its worker has said goodbye */
};

static void copy(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from);
}

/* Returns the index of the address in l->sorted, or the index at which it belongs. */
static size_t place_of(const struct leases *l, const char *address)
{
    size_t low = 0, high = l->count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (strcmp(l->sorted[mid]->address, address) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct lease *find(const struct leases *l, const char *address)
{
    size_t at = place_of(l, address);
    return at < l->count && strcmp(l->sorted[at]->address, address) == 0 ? l->sorted[at] : NULL;
}

static struct lease *add(struct leases *l, const char *address)
{
    size_t at = place_of(l, address);
    if (l->count == l->alloc) {
        l->alloc = l->alloc ? 2 * l->alloc : 16;
        l->sorted = xrealloc(l->sorted, l->alloc * sizeof(struct lease *));
    }
    struct lease *one = xcalloc(1, sizeof *one);
    copy(one->address, sizeof one->address, address);
    memmove(l->sorted + at + 1, l->sorted + at, (l->count - at) * sizeof(struct lease *));
    l->sorted[at] = one;
    l->count++;
    l->held++;
    return one;
}

static void drop(struct leases *l, struct lease *one)
{
    size_t at = place_of(l, one->address);
    memmove(l->sorted + at, l->sorted + at + 1, (l->count - at - 1) * sizeof(struct lease *));
    l->count--;
    l->held -= !one->barred;
    heap_remove(&l->ends, &one->end);
    free(one);
}

/* Adding the same time to all keys does not change the order of the heap. */
static void pass_time(struct leases *l, uint64_t now_ns)
{
    uint64_t stall_ns = l->seen_ns && now_ns > l->seen_ns ? now_ns - l->seen_ns : 0;
    l->seen_ns = now_ns;
    if (stall_ns <= STALL_NS) return;
    for (size_t i = 0; i < l->count; i++) l->sorted[i]->end.key += stall_ns;
}

struct lease_terms leases_terms(const struct leases *l)
{
    unsigned renew_s = (unsigned)((l->held + LEASES_PER_S - 1) / LEASES_PER_S);
    if (renew_s < LEASES_RENEW_S) renew_s = LEASES_RENEW_S;
    return (struct lease_terms){renew_s, LEASE_RENEWALS * renew_s};
}

const char *leases_address_of(const struct leases *l, const char *worker)
{
    for (size_t i = 0; i < l->count; i++)
        if (!l->sorted[i]->barred && strcmp(l->sorted[i]->worker, worker) == 0) return l->sorted[i]->address;
    return NULL;
}

/* A goodbye changes nothing if another worker has the address by now. */
static enum lease_verdict leave(struct leases *l, struct lease *one, const struct registration *r, uint64_t now_ns)
{
    if (!one || one->barred || strcmp(one->worker, r->worker) != 0) return LEASE_UNKNOWN;
    one->barred = true;
    l->held--;
    heap_set(&l->ends, &one->end, now_ns + LEASES_BAR_S * NS_PER_S);
    return LEASE_LEFT;
}

static enum lease_verdict hold(struct leases *l, struct lease *one, const struct registration *r)
{
    bool held = one && !one->barred;
    if (held && strcmp(one->worker, r->worker) == 0) return LEASE_RENEWED;
    if (leases_address_of(l, r->worker)) return LEASE_ELSEWHERE;
    if (!one && l->count >= LEASES_MAX) return LEASE_FULL;
    if (!one) one = add(l, r->address);
    l->held += one->barred;
    one->barred = false;
    copy(one->worker, sizeof one->worker, r->worker);
    return held ? LEASE_OTHER_WORKER : LEASE_NEW;
}

enum lease_verdict leases_register(struct leases *l, const struct registration *r, uint64_t now_ns,
                                   struct lease_terms *terms)
{
    pass_time(l, now_ns);
    struct lease *one = find(l, r->address);
    if (r->leaving) return leave(l, one, r, now_ns);
    enum lease_verdict verdict = hold(l, one, r);
    if (verdict >= LEASE_LEFT) return verdict;
    *terms = leases_terms(l);
    heap_set(&l->ends, &find(l, r->address)->end, now_ns + terms->lease_s * NS_PER_S);
    return verdict;
}

bool leases_take_ended(struct leases *l, uint64_t now_ns, struct registration *ended)
{
    pass_time(l, now_ns);
    for (struct heap_node *first; (first = heap_first(&l->ends)) && first->key <= now_ns;) {
        struct lease *one = CONTAINER_OF(first, struct lease, end);
        bool held = !one->barred;
        *ended = (struct registration){0};
        copy(ended->address, sizeof ended->address, one->address);
        copy(ended->worker, sizeof ended->worker, one->worker);
        drop(l, one);
        if (held) return true;
    }
    return false;
}

bool leases_bar(const struct leases *l, const char *address)
{
    const struct lease *one = find(l, address);
    return one && one->barred;
}

void leases_release(struct leases *l)
{
    for (size_t i = 0; i < l->count; i++) free(l->sorted[i]);
    free(l->sorted);
    heap_release(&l->ends);
    *l = (struct leases){0};
}
