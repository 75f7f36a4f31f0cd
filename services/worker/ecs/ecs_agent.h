/*
 * Protects this worker's ECS task from scale-in while it has chunks, by the agent that ECS puts into each task
 * (ECS_AGENT_URI). When is decided by protection.h; here is the request, the timer and the log. An agent that fails, is
 * slow or absent costs nothing but the protection: chunks never wait for it.
 */
#ifndef FANTAIL_WORKER_ECS_ECS_AGENT_H
#define FANTAIL_WORKER_ECS_ECS_AGENT_H

#include <uv.h>

#include "common/base/base.h"

struct ecs_agent;

/* NULL outside ECS, and when `protection_s` is 0. `failures` counts requests that failed. All calls below take NULL. */
MUST_CHECK struct ecs_agent *ecs_agent_start(uv_loop_t *loop, double protection_s, double idle_s, uint64_t *failures);
/* Work began or is over. */
void ecs_agent_work(struct ecs_agent *a, bool working);
/* Gives the protection back for good. */
void ecs_agent_leave(struct ecs_agent *a);
/* After ecs_agent_leave(): it is given back, or was tried for long enough. */
bool ecs_agent_left(const struct ecs_agent *a);
bool ecs_agent_protected(const struct ecs_agent *a);
/* Frees itself when the loop has closed its handles. */
void ecs_agent_stop(struct ecs_agent *a);

#endif
