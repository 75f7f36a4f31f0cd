/*
 * The worker as a whole: its tasks, one pool for each task, and the requests that the worker is answering. This struct
 * connects the parts of the worker.
 */
#ifndef FANTAIL_WORKER_WORKER_H
#define FANTAIL_WORKER_WORKER_H

#include "common/base/spare_memory.h"
#include "common/base/unit_cost.h"
#include "common/observe/metrics.h"
#include "common/files/locked_dir.h"
#include "common/loop/turn.h"
#include "common/service/service.h"
#include "common/trace/trace_export.h"
#include "worker/ecs/ecs_agent.h"
#include "worker/pool/pool.h"
#include "worker/registration/registrar.h"
#include "worker/request.h"
#include "worker/watch.h"

enum chunk_result { RESULT_COMPLETE, RESULT_DRAINING, RESULT_DEADLINE, RESULT_CANCELLED, RESULT_COUNT };

#define WORKER_ID_SIZE 128 /* with the NUL */

struct worker_config {
    struct service_config service;
    const char *tasks;
    const char *hosts_dir;
    const char *task_cwd; /* NULL: each task runs in its own folder */
    const char *worker_id;
    const char *scratch_dir; /* NULL: $TMPDIR or /tmp */
    int64_t processes;       /* 0: the CPU quota */
    int64_t slots;           /* 0: no limit */
    int64_t max_chunks;
    bool watch;
    int task_output; /* enum tail_form */
    double protection_s, protection_idle_s;
    struct registrar_config registration;
};

struct worker {
    uv_loop_t *loop;
    struct service *service;
    const struct worker_config *config;
    struct trace_export *trace; /* NULL: traces are forwarded but not recorded */
    char *hosts_dir;
    char id[WORKER_ID_SIZE];
    struct locked_dir scratch; /* the directory for temporary files of the processes */
    unsigned processes;        /* number of processes of a task whose task.json does not set it */
    struct slot_cap slot_cap;  /* initialised only with --slots */
    struct task_set tasks;
    struct pool *pools;
    struct watch *watch; /* NULL: tasks are read again on SIGHUP only */
    struct reaper reaper;
    struct process_env env;
    struct cpu_wait cpu_wait;
    struct output_gate output_gate; /* initialised only if env.gate is set */
    struct turn_step sleeps;        /* notes how long the worker has waited for a processor */
    struct ecs_agent *ecs_agent;    /* NULL outside ECS */
    struct registrar *registrar;    /* NULL without --register */
    bool draining, cut;

    struct requests requests;
    struct spare_memory_plan memory; /* when to return the memory of ended requests to the kernel */
    uv_timer_t memory_timer;         /* runs while memory.is_due */
    struct unit_cost chunk_cost;     /* processor time that a chunk costs our event loop */

    uint64_t *items_succeeded, *items_failed;
    uint64_t *results[RESULT_COUNT];
    uint64_t *protection_failures;
    struct metric_histogram *chunk_seconds;
};

extern const struct http_route worker_routes[];
extern const struct http_route worker_admin_routes[];

/* Returns a name such as "complete" or "draining". */
const char *worker_result_name(enum chunk_result result);

/* On failure returns false, with a sentence in err. */
MUST_CHECK bool worker_init(struct worker *w, uv_loop_t *loop, const struct worker_config *config, char *err,
                            size_t err_size);
/* With --watch, reads the tasks that were added since the folders were read, so that a new task can be used
 * immediately. */
void worker_look_for_tasks(struct worker *w);
/* Call it when the worker is ready. On failure returns false, with a sentence in err. */
MUST_CHECK bool worker_register(struct worker *w, char *err, size_t err_size);
/* The hooks of the service. `data` is the worker. */
void worker_leave(void *data);
void worker_drain(void *data);
bool worker_idle(void *data);
void worker_cut(void *data);
void worker_abort(void *data);
void worker_stop(void *data);
void worker_reload(void *data);
/* Call it after the loop has ended. */
void worker_release(struct worker *w);

/* Returns the pool of a task; NULL if the worker does not have the task, or cannot read the task's description. */
struct pool *worker_pool(struct worker *w, const char *task);
/* Returns how many processes a task may have. If `t` is NULL, returns the number for a task that does not set a number
 * itself. */
unsigned worker_slots(const struct worker *w, const struct task *t);
uint64_t worker_queued(const struct worker *w);
/* Call it when a request has been accepted (change is 1) or has ended (-1). */
void worker_count_request(struct worker *w, int change);
/* Returns how many slots of all tasks are in use. */
unsigned worker_busy(const struct worker *w);

/* Writes the ETag of GET /v1/tasks. */
void worker_write_etag(void *worker, char *etag, size_t size);
/* Adds the headers Fantail-Worker, Fantail-Slots and Fantail-Free to the answer. `pool` may be NULL. */
void worker_set_headers(struct worker *w, struct http_exchange *x, const struct pool *pool);

#endif
