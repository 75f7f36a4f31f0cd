/*
 * Records which workers have registered themselves, and how long each of them counts as alive. A worker holds a lease
 * on its address, and renews it by registering again. A lease that is not renewed expires. A worker that deregisters
 * ends its lease immediately. After a worker has deregistered, its address is barred for a while, because a name server
 * may still list the address.
 *
 * While this process is stopped (SIGSTOP, a stalled machine), it reads no renewals. So after a stop, all leases are
 * extended by the length of the stop.
 *
 * Pure: the time is an argument. Owner: the struct that embeds it. A zeroed struct is empty.
 */
#ifndef FANTAIL_COORDINATOR_FLEET_LEASES_H
#define FANTAIL_COORDINATOR_FLEET_LEASES_H

#include "common/base/hash.h"
#include "common/base/heap.h"

#define LEASES_TICK_MS    500    /* how often the owner calls leases_take_ended() */
#define LEASES_RENEW_S    2      /* the shortest time between two registrations of a worker */
#define LEASES_PER_S      50     /* renewals per second, over all workers */
#define LEASES_BAR_S      120    /* how long an address is barred after its worker has deregistered */
#define LEASES_MAX        100000 /* addresses that may have a lease or be barred at the same time */
#define LEASE_ADDRESS_MAX 64     /* "10.0.0.7:8081" or "[fd00::7]:8081", with a NUL */
#define LEASE_WORKER_MAX  128
#define LEASE_TASKS_MAX   80
#define LEASE_VERSION_MAX 40

/* What a worker reports about itself. */
struct registration {
    char worker[LEASE_WORKER_MAX];   /* id of the worker */
    char address[LEASE_ADDRESS_MAX]; /* where it accepts chunks */
    char tasks[LEASE_TASKS_MAX];     /* ETag of its GET /v1/tasks; "": not sent */
    char version[LEASE_VERSION_MAX]; /* for the log */
    bool leaving;                    /* the worker deregisters */
};

enum lease_verdict {
    LEASE_NEW,          /* the address had no worker */
    LEASE_RENEWED,      /* the same worker as before */
    LEASE_OTHER_WORKER, /* the address had another worker */
    LEASE_LEFT,         /* the worker has deregistered and had a lease */
    LEASE_UNKNOWN,      /* the worker has deregistered and had no lease; nothing has changed */
    LEASE_ELSEWHERE,    /* refused: a worker with this id holds another address */
    LEASE_FULL,         /* refused: LEASES_MAX addresses have a lease or are barred */
    LEASE_VERDICT_COUNT
};

/* renew_s: how often a worker must register. lease_s: how long a lease lasts without a new registration. */
struct lease_terms {
    unsigned renew_s, lease_s;
};

struct lease;

struct leases {
    struct hash_table by_address; /* leases and barred addresses */
    struct hash_table by_worker;  /* only leases */
    size_t held;                  /* how many of the addresses have a lease; the others are barred */
    struct heap ends;             /* the ends of all leases and bars */
    uint64_t seen_ns;             /* when a function was last called with a time; 0: never */
};

void leases_release(struct leases *l);

/* Call it when a worker registers or deregisters. If the worker has a lease now, *terms is set to the lease's terms. */
MUST_CHECK enum lease_verdict leases_register(struct leases *l, const struct registration *r, uint64_t now_ns,
                                              struct lease_terms *terms);
/* Returns the terms that a registration gets if it arrives now. */
struct lease_terms leases_terms(const struct leases *l);
/* Removes one lease that has expired, and copies its address and its worker to *ended. Returns false if no lease has
 * expired. Call it every LEASES_TICK_MS until it returns false. */
MUST_CHECK bool leases_take_ended(struct leases *l, uint64_t now_ns, struct registration *ended);
/* Returns the address that the worker holds; NULL: it holds no address. The text is borrowed until the next change. */
const char *leases_address_of(struct leases *l, const char *worker);
/* Returns whether the address is barred: its worker has deregistered, the bar has not ended, and no worker has
 * registered there since. */
bool leases_bar(struct leases *l, const char *address);

#endif
