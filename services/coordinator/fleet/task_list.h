/* The tasks of one worker, read from its answer to GET /v1/tasks. */
#ifndef FANTAIL_COORDINATOR_FLEET_TASK_LIST_H
#define FANTAIL_COORDINATOR_FLEET_TASK_LIST_H

#include "common/base/list.h"
#include "protocol/protocol.h"

/* A task as a worker describes it. */
struct listed_task {
    char *name;
    char *error; /* why the worker cannot run it; NULL: it can */
    enum idempotency idempotent;
    unsigned slots; /* items that it runs at once; 0: it does not say */
    char *about;    /* the other members of its description, each with a comma before it */
};

struct task_list {
    struct listed_task *tasks;
    size_t count;
    char *text; /* the same for lists that say the same */

    /* The catalog's: workers that say the same share one list. */
    struct list_link link;
    unsigned workers, reached; /* that have it; of these, those that answered when they were asked last */
    uint64_t left_ns;          /* workers is 0: when the last one went away */
};

/* NULL when the text is not {"tasks":[{"name":...,...},...]}. */
MUST_CHECK struct task_list *task_list_read(const char *text, size_t len);
void task_list_free(struct task_list *l);

#endif
