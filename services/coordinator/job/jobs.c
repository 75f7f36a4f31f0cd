#include "coordinator/job/jobs.h"

#include "common/base/limits.h"
#include "common/loop/progress.h"
#include "common/observe/metrics.h"
#include "coordinator/job/job_internal.h"

/* The period of the timer for progress lines and heartbeats. The timer runs while there are jobs, spill files to remove
 * or freed memory to return. */
enum { TICK_MS = 100 };
#define WHEEL_TICK_NS (50 * NS_PER_MS)
enum { BUCKETS_MIN = 64 };

static void reader_due(struct wheel_node *node, uint64_t now)
{
    reader_tick(CONTAINER_OF(node, struct reader, due), now);
}

/* If workers have reported new lists of tasks, tells the jobs: a job may have started before a worker described the
 * tasks of the job. */
static void learn_tasks(struct jobs *t)
{
    uint64_t news = t->fleet->survey.catalog.news;
    if (t->news_seen == news) return;
    t->news_seen = news;
    for (struct job *j = jobs_next(t, NULL); j; j = jobs_next(t, j)) phase_learn_tasks(&j->phase);
}

void jobs_tick(struct jobs *t, uint64_t now)
{
    learn_tasks(t);
    for (struct list_link *at = list_next(&t->paused, NULL), *next; at; at = next) {
        next = list_next(&t->paused, at);
        job_pause_or_resume(CONTAINER_OF(at, struct job, paused_link));
    }
    wheel_run(&t->readers, now, reader_due);
    spare_memory_tick(&t->memory, t->count == 0, now);
}

static void on_tick_timer(uv_timer_t *timer)
{
    struct jobs *t = timer->data;
    uint64_t now = now_ns();
    jobs_tick(t, now);
    bool more = spill_dir_step(&t->spill);
    if (t->count == 0 && !more && !t->memory.is_due) uv_timer_stop(timer);
}

static void fold_next(void *jobs)
{
    struct jobs *t = jobs;
    struct list_link *first = list_next(&t->spills, NULL);
    if (first) job_spill_more(CONTAINER_OF(first, struct job, spill_link));
    first = list_next(&t->folds, NULL);
    if (first) job_fold_more(CONTAINER_OF(first, struct job, fold_link));
    collector_free_buried(&t->buried);
    turn_stay_awake(&t->fold_step, t->folds.n + t->spills.n > 0 || t->buried);
    progress_note(); /* each of these calls reduces, writes or frees a part of the answers */
}

static struct memory_budget budget_of(int64_t most)
{
    return (struct memory_budget){.most = (size_t)most, .floor = LIMIT_JOB_FLOOR_BYTES};
}

void jobs_init(struct jobs *t, uv_loop_t *loop)
{
    t->answer_memory = budget_of(t->config->result_memory_total_bytes);
    t->item_memory = budget_of(t->config->item_memory_total_bytes);
    list_init(&t->by_age);
    list_init(&t->cursors);
    list_init(&t->cancels);
    list_init(&t->folds);
    list_init(&t->spills);
    list_init(&t->paused);
    wheel_init(&t->readers, WHEEL_TICK_NS, now_ns());
    turn_add(loop, &t->fold_step, TURN_IDLE_REDUCTIONS, fold_next, t);
    t->spill = (struct spill_dir){.path = t->config->spill_dir, .max_bytes = (uint64_t)t->config->max_spill_bytes};
    t->buckets_n = BUCKETS_MIN;
    t->buckets = xcalloc(t->buckets_n, sizeof *t->buckets);
    uv_timer_init(loop, &t->tick_timer);
    t->tick_timer.data = t;
}

size_t jobs_item_share(const struct jobs *t, size_t cap)
{
    struct memory_budget half = t->item_memory;
    half.most /= 2;
    return memory_budget_share(&half, cap);
}

bool jobs_have_item_room(const struct jobs *t, size_t held, size_t growth)
{
    const struct memory_budget *all = &t->item_memory;
    return growth == 0 || all->most == 0 || held + growth <= all->floor || all->used + growth <= all->most;
}

static double read_used(void *budget)
{
    return (double)((const struct memory_budget *)budget)->used;
}

void jobs_register_metrics(struct jobs *t)
{
    static const char items[] = "fantail_items_total", items_help[] = "Items settled, by outcome.";
    const char *statuses[SCHED_STATUS_COUNT];
    struct jobs_metrics *m = &t->metrics;
    for (unsigned i = 0; i < SCHED_STATUS_COUNT; i++) statuses[i] = sched_status_name((enum sched_status)i);
    metric_counters("fantail_jobs_total", "Jobs that ended, by status.", "status", statuses, SCHED_STATUS_COUNT,
                    m->jobs);
    m->items_succeeded = metric_counter(items, items_help, "outcome=\"succeeded\"");
    m->items_failed = metric_counter(items, items_help, "outcome=\"failed\"");
    m->items_cancelled = metric_counter(items, items_help, "outcome=\"cancelled\"");
    metric_gauge_fn("fantail_answer_memory_bytes", "Bytes of all answers that are in memory.", NULL, read_used,
                    &t->answer_memory);
    metric_gauge_fn("fantail_item_memory_bytes", "Bytes of the unsent items of all jobs.", NULL, read_used,
                    &t->item_memory);
    m->job_seconds =
        metric_histogram("fantail_job_duration_seconds", "Time from the POST of a job to its outcome.", NULL);
}

void jobs_count_items(struct jobs *t, uint64_t succeeded, uint64_t failed, uint64_t cancelled)
{
    *t->metrics.items_succeeded += succeeded;
    *t->metrics.items_failed += failed;
    *t->metrics.items_cancelled += cancelled;
}

void jobs_count_end(struct jobs *t, enum sched_status status, uint64_t took_ns)
{
    ++*t->metrics.jobs[status];
    metric_observe_ns(t->metrics.job_seconds, took_ns);
}

void jobs_stop(struct jobs *t)
{
    turn_remove(&t->fold_step);
    uv_close((uv_handle_t *)&t->tick_timer, NULL);
}

void jobs_release(struct jobs *t)
{
    while (t->buried) collector_free_buried(&t->buried);
    spill_dir_release(&t->spill);
    free(t->buckets);
    t->buckets = NULL;
    t->buckets_n = 0;
}

/* The table. */

/* Returns the bucket of an id, by its 32-bit FNV-1a hash. */
static struct job **bucket_of(const struct jobs *t, const char *id)
{
    uint32_t h = 2166136261u;
    for (; *id; id++) h = (h ^ (unsigned char)*id) * 16777619u;
    return &t->buckets[h & (t->buckets_n - 1)];
}

static void put_in_bucket(struct jobs *t, struct job *j)
{
    struct job **bucket = bucket_of(t, j->id);
    j->next_in_bucket = *bucket;
    *bucket = j;
}

static void grow(struct jobs *t)
{
    free(t->buckets);
    t->buckets_n *= 2;
    t->buckets = xcalloc(t->buckets_n, sizeof *t->buckets);
    for (struct job *j = jobs_next(t, NULL); j; j = jobs_next(t, j)) put_in_bucket(t, j);
}

void jobs_add(struct jobs *t, struct job *j)
{
    if (t->count == t->buckets_n) grow(t);
    put_in_bucket(t, j);
    list_push_front(&t->by_age, &j->by_age);
    t->count++;
    if (!uv_is_active((uv_handle_t *)&t->tick_timer)) uv_timer_start(&t->tick_timer, on_tick_timer, TICK_MS, TICK_MS);
}

void jobs_walk_begin(struct jobs_cursor *c, struct jobs *t)
{
    c->jobs = t;
    c->next = jobs_next(t, NULL);
    list_push_back(&t->cursors, &c->link);
}

struct job *jobs_walk_next(struct jobs_cursor *c)
{
    struct job *j = c->next;
    if (j) c->next = jobs_next(c->jobs, j);
    return j;
}

void jobs_walk_end(struct jobs_cursor *c)
{
    if (c->jobs) list_remove(&c->jobs->cursors, &c->link);
    *c = (struct jobs_cursor){0};
}

/* If a walk would return this job next, moves the walk to the job after it. */
static void leave_walks(struct jobs *t, struct job *j)
{
    for (struct list_link *at = list_next(&t->cursors, NULL); at; at = list_next(&t->cursors, at)) {
        struct jobs_cursor *c = CONTAINER_OF(at, struct jobs_cursor, link);
        if (c->next == j) c->next = jobs_next(t, j);
    }
}

void jobs_remove(struct jobs *t, struct job *j)
{
    leave_walks(t, j);
    struct job **link = bucket_of(t, j->id);
    while (*link != j) link = &(*link)->next_in_bucket;
    *link = j->next_in_bucket;
    list_remove(&t->by_age, &j->by_age);
    t->count--;
    spare_memory_work_ended(&t->memory, now_ns());
}

struct job *jobs_find(const struct jobs *t, const char *id)
{
    struct job *j = *bucket_of(t, id);
    while (j && strcmp(j->id, id) != 0) j = j->next_in_bucket;
    return j;
}

struct job *jobs_next(const struct jobs *t, const struct job *j)
{
    struct list_link *next = list_next(&t->by_age, j ? &j->by_age : NULL);
    return next ? CONTAINER_OF(next, struct job, by_age) : NULL;
}

/* Cancellations. */

void jobs_drain_all(struct jobs *t)
{
    for (struct job *j = jobs_next(t, NULL); j; j = jobs_next(t, j)) {
        if (j->keeper) continue;
        j->drained = j->drained || (j->state != JOB_ENDED && !j->cancel_reason);
        job_cancel(j, SCHED_CANCELLED, "the coordinator is shutting down");
    }
}

void jobs_carry_out_cancels(struct jobs *t)
{
    struct list_link *at;
    while ((at = list_next(&t->cancels, NULL)) != NULL) {
        struct job *j = CONTAINER_OF(at, struct job, cancel_link);
        list_remove(&t->cancels, at);
        j->cancel_is_noted = false;
        sched_job_cancel(j->phase.sched, j->cancel_status, j->cancel_reason);
    }
}
