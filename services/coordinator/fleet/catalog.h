/*
 * Which tasks the workers have: what each worker said when it was asked last (survey.h), and all of it together. Where
 * workers disagree about a task, the careful answer counts. A worker that cannot be reached keeps its tasks, and those
 * of one that went away are remembered for a week, so that a job can wait for a pool without workers to get one.
 * Pure: it asks nobody.
 */
#ifndef FANTAIL_COORDINATOR_FLEET_CATALOG_H
#define FANTAIL_COORDINATOR_FLEET_CATALOG_H

#include "common/base/buf.h"
#include "coordinator/fleet/task_list.h"

/* One worker in the catalog. Zeroed: it has not said anything. */
struct catalog_worker {
    const struct task_list *has; /* NULL: not known */
    bool reached;                /* it answered when it was asked last */
};

/* A task, over all workers. */
struct catalog_task {
    const char *name;
    enum idempotency idempotent; /* the most careful answer */
    bool runs;                   /* a worker can run it, or one that went away could and no other says that it cannot */
    unsigned workers;            /* that can run it and were reached */
    uint64_t slots;              /* of these */
    unsigned broken;             /* workers that have it and cannot run it */
    const char *error;           /* why, by one of them; NULL: broken is 0 */
    const char *about;           /* of one that can run it; NULL: none can */
};

struct catalog {
    bool balancer;             /* one address for many workers, so their number is not known */
    unsigned workers, reached; /* those that have said which tasks they have */

    /* Private. */
    struct list lists;
    struct catalog_task *tasks; /* by name; made anew when it is read after a change */
    size_t count;
    bool changed;
};

void catalog_init(struct catalog *c, bool balancer);
void catalog_release(struct catalog *c);

/* What a worker answered: {"tasks":[{"name":...,...},...]}. False when it is not that; nothing is changed then. */
MUST_CHECK bool catalog_worker_said(struct catalog *c, struct catalog_worker *w, const char *text, size_t len);
/* It answered that nothing has changed (true), or did not answer. */
void catalog_worker_reached(struct catalog *c, struct catalog_worker *w, bool reached);
void catalog_worker_left(struct catalog *c, struct catalog_worker *w, uint64_t now);

/* NULL: unknown. Borrowed until a worker is added, says something or leaves. */
const struct catalog_task *catalog_find(struct catalog *c, const char *name);
/* All of them, by name; borrowed likewise. */
const struct catalog_task *catalog_tasks(struct catalog *c, size_t *count);
/* Appends "square, primes and wordcount", or "none". */
void catalog_list_names(struct catalog *c, struct buf *out);
/* Appends the document of GET /v1/tasks. */
void catalog_write(struct catalog *c, struct buf *out);

#endif
