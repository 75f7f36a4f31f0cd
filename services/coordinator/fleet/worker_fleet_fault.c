/* Why no worker can be reached. */
#include "coordinator/fleet/worker_fleet.h"

const char *worker_fleet_fault(struct worker_fleet *f)
{
    const char *name = f->endpoints.lookup_fault, *worker = f->connect_error.reason;
    if (!name[0]) return worker[0] ? worker : NULL;
    snprintf(f->fault, sizeof f->fault, worker[0] ? "%s; %s" : "%s%s", name, worker);
    return f->fault;
}

void worker_fleet_explain(struct worker_fleet *f, const char *sentence, char *out, size_t out_size)
{
    const char *fault = worker_fleet_fault(f);
    snprintf(out, out_size, fault ? "%s: %s" : "%s%s", sentence, fault ? fault : "");
}
