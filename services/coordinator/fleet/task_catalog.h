/*
 * Records which tasks the workers have: the last answer of each worker (survey.h), and totals over all workers. If
 * workers disagree about the idempotency of a task, the most cautious answer counts. The tasks of a worker that cannot
 * be reached stay in the catalog. The tasks of a worker that has left are remembered for about a week. So a job can
 * wait while the pool of its task has no workers. From the start, the catalog has the tasks that the operator expects.
 * So jobs with these tasks can wait for the first worker. Pure: no I/O.
 */
#ifndef FANTAIL_COORDINATOR_FLEET_TASK_CATALOG_H
#define FANTAIL_COORDINATOR_FLEET_TASK_CATALOG_H

#include "common/base/buf.h"
#include "coordinator/fleet/task_list.h"

/* One worker in the catalog. A zeroed struct is a worker that has not answered yet. */
struct catalog_worker {
    const struct task_list *has; /* NULL: not known */
    bool reached;                /* the worker answered the last request */
};

/* A task, over all workers. */
struct catalog_task {
    const char *name;
    bool described;              /* a worker that can run the task has described it; false: it is only expected */
    enum idempotency idempotent; /* the most cautious answer of all workers */
    /* True if a worker can run the task. Also true if a worker that has left could run the task and no worker reports
     * that it cannot run the task. Also true for an expected task that no worker has reported. */
    bool runs;
    unsigned workers;         /* workers that can run the task and answered when they were asked last */
    uint64_t slots;           /* slots of these workers */
    uint64_t starting;        /* processes of the task that are starting on these workers */
    unsigned broken;          /* workers that have the task but cannot run it */
    const char *error;        /* why one of these workers cannot run the task; NULL: broken is 0 */
    unsigned unstarted;       /* workers that have the task, but cannot start its processes */
    const char *cannot_start; /* why, on one of these workers; NULL: unstarted is 0 */
    /* The description by a worker that can run the task. "" if the task is only expected. NULL if no worker can run the
     * task. */
    const char *about;
};

struct catalog {
    bool balancer; /* one address stands for many workers, so their number is not known */
    /* How many workers have reported their tasks, and how many of these workers answered the last request. */
    unsigned workers, reached;
    uint64_t news; /* how many different lists of tasks workers have reported so far */

    /* Private. */
    struct list lists;
    char **expected; /* names of tasks */
    size_t expected_n;
    struct catalog_task *tasks; /* sorted by name; rebuilt at the first use after a change */
    size_t count;
    bool changed;
};

void catalog_init(struct catalog *c, bool balancer);
void catalog_release(struct catalog *c);
/* Checks a list for catalog_expect(). If an entry is not the name of a task, returns false, and sets *fault and *len to
 * the start and the length of the first such entry. */
MUST_CHECK bool catalog_check_expected(const char *names, const char **fault, size_t *len);
/* Adds tasks that the catalog lists even before a worker reports them. `names` is a comma-separated list; NULL:
 * none. */
void catalog_expect(struct catalog *c, const char *names);

/* Reads a worker's answer: {"tasks":[{"name":...,...},...]}. If the text has another form, changes nothing and returns
 * false. */
MUST_CHECK bool catalog_worker_said(struct catalog *c, struct catalog_worker *w, const char *text, size_t len);
/* Call it with true when the worker has answered that nothing has changed, and with false when it has not answered. */
void catalog_worker_reached(struct catalog *c, struct catalog_worker *w, bool reached);
void catalog_worker_left(struct catalog *c, struct catalog_worker *w, uint64_t now);

/* Returns the task, or NULL when the task is unknown. The task is borrowed until a worker is added, answers or
 * leaves. */
const struct catalog_task *catalog_find(struct catalog *c, const char *name);
/* Returns all tasks, sorted by name. The array is borrowed until a worker is added, answers or leaves. */
const struct catalog_task *catalog_tasks(struct catalog *c, size_t *count);
/* Appends the names of all tasks, such as "primes, square and wordcount", or "none". */
void catalog_list_names(struct catalog *c, struct buf *out);
/* Appends the document of GET /v1/tasks. */
void catalog_write(struct catalog *c, struct buf *out);

#endif
