#include <math.h>

#include "coordinator/sched/scheduler_internal.h"

/*
 * The tasks, or pipelines of tasks ("a,b"), that jobs name. Each task has its own slots, its own fair queue of jobs,
 * and a lane at each endpoint. So jobs of one task do not wait for the items of another task. A task is made when a job
 * first names it, and is kept for later jobs. When there are too many tasks, tasks without jobs are removed.
 */
#define IDLE_TASKS_MAX 64

static struct sched_task *find(const struct scheduler *s, const char *name)
{
    for (struct list_link *at = list_next(&s->tasks, NULL); at; at = list_next(&s->tasks, at)) {
        struct sched_task *t = CONTAINER_OF(at, struct sched_task, link);
        if (strcmp(t->name, name) == 0) return t;
    }
    return NULL;
}

void task_free(struct sched_task *t)
{
    for (struct list_link *at; (at = list_next(&t->lanes, NULL)) != NULL;)
        lane_free(CONTAINER_OF(at, struct sched_lane, task_link));
    list_remove(&t->s->tasks, &t->link);
    heap_release(&t->ready);
    free(t->open);
    free(t->available);
    free(t->name);
    free(t);
}

static void make_room(struct scheduler *s)
{
    struct list_link *at = list_next(&s->tasks, NULL), *next;
    for (; at && s->tasks.n > IDLE_TASKS_MAX; at = next) {
        struct sched_task *t = CONTAINER_OF(at, struct sched_task, link);
        next = list_next(&s->tasks, at);
        if (t->jobs.n == 0) task_free(t);
    }
}

struct sched_task *task_get(struct scheduler *s, const char *name)
{
    struct sched_task *t = find(s, name);
    if (t) return t;
    make_room(s);
    t = xcalloc(1, sizeof *t);
    t->s = s;
    t->name = xstrdup(name);
    list_init(&t->jobs);
    list_init(&t->lanes);
    list_init(&t->blocked);
    list_init(&t->warm);
    list_push_back(&s->tasks, &t->link);
    for (uint32_t i = 0; i < s->endpoints_n; i++) lane_new(t, s->endpoints[i]);
    return t;
}

bool task_is_nowhere(const struct sched_task *t)
{
    return t->lanes.n > 0 && t->lacking == t->lanes.n;
}

uint64_t task_reached_slots(const struct sched_task *t)
{
    return (uint64_t)(fmax(t->slots - t->unreached_slots, 0) + 0.5);
}

static struct sched_task_stats stats_of(const struct sched_task *t)
{
    return (struct sched_task_stats){
        .name = t->name,
        .jobs = t->jobs.n,
        .queued_items = t->uncut_items + t->pending_items + t->backoff_items,
        .in_flight_items = t->in_flight_items,
        .demand_slots = t->demand_slots,
        .slots = task_reached_slots(t),
        .endpoints = t->usable,
        .idle = t->warm.n,
        .full = t->full,
    };
}

bool sched_task_stats(const struct scheduler *s, const char *name, struct sched_task_stats *stats)
{
    const struct sched_task *t = find(s, name);
    if (t) *stats = stats_of(t);
    return t != NULL;
}

void sched_each_task(const struct scheduler *s, void (*visit)(void *data, const struct sched_task_stats *stats),
                     void *data)
{
    for (struct list_link *at = list_next(&s->tasks, NULL); at; at = list_next(&s->tasks, at)) {
        struct sched_task_stats stats = stats_of(CONTAINER_OF(at, struct sched_task, link));
        visit(data, &stats);
    }
}
