/* The coordinator's HTTP API: coordinator_routes and coordinator_admin_routes (coordinator.h), and what main needs. */
#ifndef FANTAIL_COORDINATOR_API_H
#define FANTAIL_COORDINATOR_API_H

#include "coordinator/coordinator.h"

void api_register_metrics(struct coordinator *c);
/* Every running job ends as cancelled; reason is a literal. */
void api_cancel_all(struct coordinator *c, const char *reason);
/* Appends "status":...,"counts":{...} members shared by several answers. */
void api_write_counts(struct buf *out, const struct sched_counts *counts);

#endif
