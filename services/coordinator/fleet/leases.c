#include "coordinator/fleet/leases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEASE_RENEWALS 3 /* a lease lasts for this many renewal periods */
#define STALL_NS       (2 * LEASES_TICK_MS * NS_PER_MS)

struct lease {
    char address[LEASE_ADDRESS_MAX];
    char worker[LEASE_WORKER_MAX];
    struct hash_link by_address, by_worker;
    struct heap_node end; /* when the lease expires, or when the bar ends */
    bool barred;          /* the worker at this address has deregistered */
};

static void copy(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from);
}

static struct lease *find(struct leases *l, const char *address)
{
    uint64_t hash = hash_text(address);
    for (struct hash_link *at = NULL; (at = hash_find(&l->by_address, hash, at));) {
        struct lease *one = CONTAINER_OF(at, struct lease, by_address);
        if (strcmp(one->address, address) == 0) return one;
    }
    return NULL;
}

static struct lease *find_worker(struct leases *l, const char *worker)
{
    uint64_t hash = hash_text(worker);
    for (struct hash_link *at = NULL; (at = hash_find(&l->by_worker, hash, at));) {
        struct lease *one = CONTAINER_OF(at, struct lease, by_worker);
        if (strcmp(one->worker, worker) == 0) return one;
    }
    return NULL;
}

static struct lease *add(struct leases *l, const char *address)
{
    struct lease *one = xcalloc(1, sizeof *one);
    copy(one->address, sizeof one->address, address);
    one->barred = true; /* until hold_by() */
    hash_add(&l->by_address, &one->by_address, hash_text(address));
    return one;
}

/* Ends a lease, and bars the address that the worker held. */
static void let_go(struct leases *l, struct lease *one)
{
    if (one->barred) return;
    one->barred = true;
    l->held--;
    hash_remove(&l->by_worker, &one->by_worker);
}

static void hold_by(struct leases *l, struct lease *one, const char *worker)
{
    let_go(l, one);
    one->barred = false;
    l->held++;
    copy(one->worker, sizeof one->worker, worker);
    hash_add(&l->by_worker, &one->by_worker, hash_text(one->worker));
}

static void drop(struct leases *l, struct lease *one)
{
    let_go(l, one);
    hash_remove(&l->by_address, &one->by_address);
    heap_remove(&l->ends, &one->end);
    free(one);
}

/* Extends all leases if this process was stopped. Adding the same time to all keys does not change the order of the
 * heap. */
static void pass_time(struct leases *l, uint64_t now_ns)
{
    uint64_t stall_ns = l->seen_ns && now_ns > l->seen_ns ? now_ns - l->seen_ns : 0;
    l->seen_ns = now_ns;
    if (stall_ns <= STALL_NS) return;
    for (uint32_t i = 1; i <= l->ends.n; i++) l->ends.nodes[i]->key += stall_ns;
}

struct lease_terms leases_terms(const struct leases *l)
{
    unsigned renew_s = (unsigned)((l->held + LEASES_PER_S - 1) / LEASES_PER_S);
    if (renew_s < LEASES_RENEW_S) renew_s = LEASES_RENEW_S;
    return (struct lease_terms){renew_s, LEASE_RENEWALS * renew_s};
}

const char *leases_address_of(struct leases *l, const char *worker)
{
    const struct lease *one = find_worker(l, worker);
    return one ? one->address : NULL;
}

/* Deregisters the worker. Changes nothing if another worker now holds the address. */
static enum lease_verdict leave(struct leases *l, struct lease *one, const struct registration *r, uint64_t now_ns)
{
    if (!one || one->barred || strcmp(one->worker, r->worker) != 0) return LEASE_UNKNOWN;
    let_go(l, one);
    heap_set(&l->ends, &one->end, now_ns + LEASES_BAR_S * NS_PER_S);
    return LEASE_LEFT;
}

static enum lease_verdict hold(struct leases *l, struct lease *one, const struct registration *r)
{
    bool held = one && !one->barred;
    if (held && strcmp(one->worker, r->worker) == 0) return LEASE_RENEWED;
    if (leases_address_of(l, r->worker)) return LEASE_ELSEWHERE;
    if (!one && l->by_address.n >= LEASES_MAX) return LEASE_FULL;
    hold_by(l, one ? one : add(l, r->address), r->worker);
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

bool leases_bar(struct leases *l, const char *address)
{
    const struct lease *one = find(l, address);
    return one && one->barred;
}

void leases_release(struct leases *l)
{
    for (uint32_t i = 1; i <= l->ends.n; i++) free(CONTAINER_OF(l->ends.nodes[i], struct lease, end));
    hash_release(&l->by_address);
    hash_release(&l->by_worker);
    heap_release(&l->ends);
    *l = (struct leases){0};
}
