/* The tasks of one worker, read from its answer to GET /v1/tasks. */
#ifndef FANTAIL_COORDINATOR_FLEET_TASK_LIST_H
#define FANTAIL_COORDINATOR_FLEET_TASK_LIST_H

#include "common/base/list.h"
#include "protocol/protocol.h"

/* A task as a worker describes it. */
struct listed_task {
    char *name;
    char *error; /* why the worker cannot run the task; NULL: it can run the task */
    enum idempotency idempotent;
    unsigned slots;     /* items that the worker runs at the same time; 0: not reported */
    unsigned starting;  /* processes of the task that are starting */
    char *cannot_start; /* why processes of the task could not be started on the worker; NULL: they could */
    char *about;        /* the other members of the description, each after a comma */
};

struct task_list {
    struct listed_task *tasks;
    size_t count;
    char *text; /* lists with the same content have the same text */

    /* For the catalog: workers with the same tasks share one list. */
    struct list_link link;
    unsigned workers, reached; /* workers that have this list; how many of these workers answered the last request */
    uint64_t left_ns;          /* if no worker has this list: when its last worker left */
};

/* Reads a list. Returns NULL when the text is not {"tasks":[{"name":...,...},...]}. */
MUST_CHECK struct task_list *task_list_read(const char *text, size_t len);
void task_list_free(struct task_list *l);

#endif
