/* The facts that a run of `fantail map` needs about its tasks. These facts come from the answer to GET /v1/tasks. Pure.
 */
#ifndef FANTAIL_CLI_RECONNECT_TASK_FACTS_H
#define FANTAIL_CLI_RECONNECT_TASK_FACTS_H

#include "protocol/protocol.h"

struct task_facts {
    enum idempotency idempotent; /* the strictest value of all tasks */
    uint64_t slots;              /* the slots of the task that has the fewest; 0: not known */
};

/* `tasks` has the names of the tasks with commas between them. Returns false if the answer does not describe each of
 * these tasks. The entry of a task that is only expected (--expected-tasks) does not describe the task. */
MUST_CHECK bool task_facts_read(struct task_facts *facts, const char *tasks, const char *json, size_t len);

/* Returns whether the answer lists tasks, but not `task`, not even as an expected task. If `task` has several names,
 * returns false. */
MUST_CHECK bool task_facts_lack(const char *task, const char *json, size_t len);

#endif
