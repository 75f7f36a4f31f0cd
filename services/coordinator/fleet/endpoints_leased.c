/* The addresses of workers that register themselves. */
#include "common/base/buf.h"
#include "coordinator/fleet/endpoints_internal.h"

/* Adds the address of a worker. If the option has a name, the URL gets this name, because the worker's certificate is
 * for the name. */
static void add(struct endpoints *e, const char *address)
{
    struct buf url = {0};
    if (e->name)
        buf_addf(&url, "%s://%s%s", e->scheme, e->name, strrchr(address, ':'));
    else
        buf_addf(&url, "%s://%s", e->scheme, address);
    endpoint_add(e, buf_cstr(&url), address, true);
    buf_release(&url);
}

static void hold(struct endpoints *e, const struct registration *r, bool other)
{
    struct endpoint *one = endpoint_find(e, r->address);
    if (!one) {
        add(e, r->address);
        return;
    }
    one->leased = true;
    if (e->ops->registered) e->ops->registered(e->data, one, other, r->tasks);
}

/* Call it when the lease on the address has ended. The endpoint stays if the option lists the address, or if the
 * option's name resolves to the address and the worker has not deregistered. */
static void let_go(struct endpoints *e, const char *address)
{
    struct endpoint *one = endpoint_find(e, address);
    if (!one) return;
    one->leased = false;
    bool barred = e->mode == ENDPOINTS_DNS && leases_bar(&e->leases, address);
    if (!one->listed || barred) endpoint_drop(e, one);
}

enum lease_verdict endpoints_register(struct endpoints *e, const struct registration *r, uint64_t now_ns,
                                      struct lease_terms *terms)
{
    enum lease_verdict verdict = leases_register(&e->leases, r, now_ns, terms);
    if (verdict < LEASE_LEFT) hold(e, r, verdict != LEASE_RENEWED);
    if (verdict == LEASE_LEFT) let_go(e, r->address);
    return verdict;
}

bool endpoints_end_lease(struct endpoints *e, uint64_t now_ns, struct registration *ended)
{
    if (!leases_take_ended(&e->leases, now_ns, ended)) return false;
    let_go(e, ended->address);
    return true;
}
