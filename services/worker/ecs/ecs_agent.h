/*
 * Protects this worker's ECS task from scale-in while the worker has chunks. protection.h decides which request to
 * send, and when. This module sends the requests to the agent that ECS runs in each task (ECS_AGENT_URI), runs the
 * timer and writes the log. If the agent fails or is slow, the task is not protected, but chunks never wait for the
 * agent.
 */
#ifndef FANTAIL_WORKER_ECS_ECS_AGENT_H
#define FANTAIL_WORKER_ECS_ECS_AGENT_H

#include <uv.h>

#include "common/base/base.h"

struct ecs_agent;

/* If the worker does not run in ECS, or protection_s is 0, returns NULL. The functions below accept NULL. *failures
 * counts failed requests. */
MUST_CHECK struct ecs_agent *ecs_agent_start(uv_loop_t *loop, double protection_s, double idle_s, uint64_t *failures);
/* Call it when the worker begins to have open chunks, and when it has none any more. */
void ecs_agent_work(struct ecs_agent *a, bool working);
/* Releases the protection. After this call, protection is not requested again. */
void ecs_agent_leave(struct ecs_agent *a);
/* Call it after ecs_agent_leave(). Returns true if the request to release the protection has ended, or has taken too
 * long. */
bool ecs_agent_left(const struct ecs_agent *a);
bool ecs_agent_protected(const struct ecs_agent *a);
/* The agent is freed when the loop has closed its handles. */
void ecs_agent_stop(struct ecs_agent *a);

#endif
