/*
 * The addresses of the workers. Reads the option --workers, and keeps the set of addresses up to date:
 *
 *   static://a:8081,b:8081             these addresses, which never change
 *   static://unix:/run/a.sock,b:8081   also Unix-domain sockets of this machine (unix_address.h)
 *   http://name:8081                   one load balancer; its name is resolved for each new connection
 *   dns://name:8081                    every address of the name, resolved again every refresh_ms
 *   register://                        only workers that register themselves
 *
 * With TLS: static+https://, https://, dns+https:// and register+https://NAME. The certificate must be for the name in
 * the option, even if a connection goes to a numeric address.
 *
 * Unless the option names a load balancer, workers that register themselves (registry.h) are added, too. So the set
 * contains an address if the option lists the address, if the option's name resolves to it, or if a worker has a lease
 * on it. After a worker has deregistered, a name server may still list its address for a while. So the address is
 * barred for LEASES_BAR_S: in this period, the answers of a name server do not add the address, but a new registration
 * does.
 *
 * This module calls its owner for each address that is added or removed. The module does not depend on what is sent to
 * the addresses.
 */
#ifndef FANTAIL_COORDINATOR_FLEET_ENDPOINTS_H
#define FANTAIL_COORDINATOR_FLEET_ENDPOINTS_H

#include <uv.h>

#include "common/base/base.h"
#include "coordinator/fleet/leases.h"

enum endpoints_mode { ENDPOINTS_STATIC, ENDPOINTS_BALANCER, ENDPOINTS_DNS, ENDPOINTS_REGISTERED };

struct endpoint {
    struct endpoint *next, **prev; /* links of the list; `prev` is private */
    char *url;                     /* "http://name:8081", without a slash at its end */
    char *connect_to; /* in DNS mode, or if registered: "10.0.0.7:8081"; for a socket: "unix:/path"; otherwise NULL */
    void *owner;      /* what added() returned */
    bool listed;      /* private: the option or the newest DNS answer lists the address */
    bool leased;      /* private: a worker has registered there */
    struct hash_link by_address; /* private */
};

struct endpoints_ops {
    void *(*added)(void *data, struct endpoint *e);
    void (*removed)(void *data, struct endpoint *e); /* e is freed afterwards */
    /* Called when a worker has registered at a known address. `other` is false if the worker that holds the address
     * renews its registration; otherwise it is true. `tasks`: the ETag of the worker's answer to GET /v1/tasks; "": not
     * known. The op may be NULL. */
    void (*registered)(void *data, struct endpoint *e, bool other, const char *tasks);
};

struct endpoints {
    enum endpoints_mode mode;
    struct endpoint *list;
    struct hash_table by_address;
    unsigned count;
    const struct endpoints_ops *ops;
    void *data;
    char *name, *port;  /* in DNS mode, both; for register+https://, only `name`; otherwise NULL */
    const char *scheme; /* "http" or "https" */
    uint64_t refresh_ms;
    uv_loop_t *loop;
    uv_timer_t *timer;
    uv_getaddrinfo_t *lookup;
    int lookup_status;      /* private: how the last lookup ended; 0: it found addresses, or none has ended */
    char lookup_fault[400]; /* why the lookup found no addresses; "": it found some, or no name is looked up */
    struct leases leases;
};

/* Reads the text, and adds the addresses in it. In DNS mode, begins to look up the addresses instead. If the text is
 * wrong, returns false and writes a sentence to err. */
MUST_CHECK bool endpoints_start(struct endpoints *e, uv_loop_t *loop, const char *workers, uint64_t refresh_ms,
                                const struct endpoints_ops *ops, void *data, char *err, size_t err_size);
/* Checks the text as endpoints_start() does, and does nothing else. Call it before anything starts. */
MUST_CHECK bool endpoints_check(const char *workers, char *err, size_t err_size);
/* Returns the mode of a text that passed the check. */
enum endpoints_mode endpoints_mode(const char *workers);
bool endpoints_use_tls(const char *workers);
/* Returns whether the option names only socket files, which are reached without TLS. */
bool endpoints_are_socket_files(const char *workers);
void endpoints_stop(struct endpoints *e);

/* Call it when a worker registers or deregisters (leases.h). Adds or removes the worker's address. Returns what has
 * changed. If the worker has a lease now, sets *terms. */
MUST_CHECK enum lease_verdict endpoints_register(struct endpoints *e, const struct registration *r, uint64_t now_ns,
                                                 struct lease_terms *terms);
/* Ends one lease that has expired. Removes the address of this lease, unless the option lists the address or the
 * option's name resolves to it. Returns false when no lease has expired. Call it every LEASES_TICK_MS until it returns
 * false. */
MUST_CHECK bool endpoints_end_lease(struct endpoints *e, uint64_t now_ns, struct registration *ended);

/* For DNS mode. `addresses` are all addresses that the name has now; NULL: the name has none. Adds the new addresses in
 * the order of `addresses`, and then removes the addresses that the name no longer has. Takes O(n log n). Called after
 * each DNS lookup. */
struct addrinfo;
void endpoints_update(struct endpoints *e, const struct addrinfo *addresses);

#endif
