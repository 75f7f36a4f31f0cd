/*
 * Durable jobs without HTTP, workers or a database: a stage (job_harness.h), a store in memory, and a clock that the
 * test moves.
 */
#ifndef FANTAIL_TEST_DURABLE_HARNESS_H
#define FANTAIL_TEST_DURABLE_HARNESS_H

#include "common/net/prefer_header.h"
#include "coordinator/durable/durable.h"
#include "coordinator/durable/durable_run.h"
#include "unit/coordinator/durable/fake_store.h"
#include "unit/coordinator/job/job_harness.h"
#include "unit/fake_clock.h"

struct replica {
    struct stage stage;
    struct durable_config config;
    struct durable durable;
    unsigned given_whole;          /* for how many jobs ended_whole() was called; a test counts them */
    unsigned changes;              /* the number of calls of `changed` */
    enum job_likeness likeness;    /* of the last job whose client waits */
    struct http_exchange *waiting; /* the last exchange that waits for the end of its job */
    char waits_for[STORE_ID_SIZE]; /* the id of that job */
    unsigned wait_s;
    struct catalog_worker worker; /* has the tasks that replica_describe() was called with */
};

static inline void replica_changed(void *data, const char *id)
{
    ((struct replica *)data)->changes++;
}

static inline void replica_wait(void *data, struct http_exchange *x, const struct stored_job *job,
                                const struct preferences *wanted, enum job_likeness likeness)
{
    struct replica *r = data;
    r->waiting = x;
    r->likeness = likeness;
    r->wait_s = wanted->wait_s;
    snprintf(r->waits_for, sizeof r->waits_for, "%s", job->id);
}

/* Makes the replica's worker describe its tasks. */
static inline void replica_describe(struct replica *r, const char *tasks)
{
    cr_assert(catalog_worker_said(&r->stage.fleet.survey.catalog, &r->worker, tasks, strlen(tasks)));
}

#define HARNESS_TASKS "{\"tasks\":[{\"name\":\"echo\"}]}"

/* Starts a replica. `tasks` is the list of the tasks of the replica's workers; NULL: no task is known yet. */
static inline void replica_start_with(struct replica *r, struct store *store, const char *tasks)
{
    stage_init(&r->stage);
    catalog_init(&r->stage.fleet.survey.catalog, false);
    r->worker = (struct catalog_worker){0};
    if (tasks) replica_describe(r, tasks);
    log_set_level(LOG_LEVEL_COUNT); /* logs nothing */
    r->stage.config.max_jobs = 10000;
    r->config = (struct durable_config){0};
    r->changes = r->given_whole = 0;
    r->waiting = NULL;
    r->durable = (struct durable){.config = &r->config,
                                  .store = store,
                                  .jobs = &r->stage.jobs,
                                  .changed = replica_changed,
                                  .wait = replica_wait,
                                  .data = r};
    durable_register_metrics(&r->durable);
    durable_start(&r->durable, &r->stage.loop);
}

static inline void replica_start(struct replica *r, struct store *store)
{
    replica_start_with(r, store, HARNESS_TASKS);
}

/* Fires the timers that are due, and runs the scheduler. */
static inline void replica_turn(struct replica *r)
{
    stage_run(&r->stage);
    uv_run(&r->stage.loop, UV_RUN_NOWAIT);
    stage_run(&r->stage);
}

/* Stops a replica, which must be idle. */
static inline void replica_stop(struct replica *r)
{
    cr_assert(durable_is_idle(&r->durable), "%zu runs are left", r->durable.runs.n);
    durable_stop(&r->durable);
    stage_stop(&r->stage);
}

static inline struct durable_run *replica_run(struct replica *r)
{
    struct list_link *first = list_next(&r->durable.runs, NULL);
    cr_assert_not_null(first, "no job runs");
    return CONTAINER_OF(first, struct durable_run, link);
}

/* One replica and its store. */
struct bench {
    struct replica replica;
    struct fake_store *store;
};

static inline void bench_start_with(struct bench *b, unsigned slots, const char *tasks)
{
    fake_clock_start();
    b->store = fake_store_new(NULL);
    replica_start_with(&b->replica, &b->store->store, tasks);
    if (slots) stage_add_slots(&b->replica.stage, slots);
}

static inline void bench_start(struct bench *b, unsigned slots)
{
    bench_start_with(b, slots, HARNESS_TASKS);
}

/* Moves the clock by `ms` in steps of 10 ms. At each step, fires the timers that are due, and lets the store carry out
 * its calls. */
static inline void bench_pass(struct bench *b, uint64_t ms)
{
    fake_store_run(b->store);
    replica_turn(&b->replica);
    for (uint64_t i = 0; i < ms; i += 10) {
        fake_clock_pass(10);
        b->store->now_ms += 10;
        replica_turn(&b->replica);
        fake_store_run(b->store);
    }
}

/* Moves the clock like bench_pass(). At each step, also answers all items that were sent. */
static inline void bench_work(struct bench *b, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i += 10) {
        stage_answer_all(&b->replica.stage);
        bench_pass(b, 10);
    }
}

static inline void bench_over(struct bench *b)
{
    if (!durable_is_idle(&b->replica.durable)) {
        durable_drain(&b->replica.durable);
        bench_pass(b, 4000);
    }
    durable_drain(&b->replica.durable);
    bench_pass(b, 100);
    replica_stop(&b->replica);
    fake_store_free(b->store);
    fake_clock_ns = 0;
    metrics_release();
    fake_client_release();
    assert_no_leaks();
}

/* Jobs in the store. */

#define HARNESS_OPTIONS(options, have_items, idempotent)                                                               \
    "{\"query\":{\"task\":\"echo\"},\"options\":" options ",\"have_items\":" have_items ",\"idempotent\":" idempotent  \
    "}"

static inline struct fake_job *harness_add_job(struct fake_store *s, const char *id, const char *options,
                                               uint64_t items)
{
    struct fake_job *j = fake_store_add_job(s, id, STORED_PENDING, items);
    fake_store_set_options(j, options);
    return j;
}

/* Adds a pending job whose items are the numbers from 0 on, in blocks of `per_block` items. */
static inline struct fake_job *harness_add_items(struct fake_store *s, const char *id, const char *options,
                                                 uint64_t items, uint64_t per_block)
{
    struct fake_job *j = harness_add_job(s, id, options, items);
    for (uint64_t i = 0; i < items; i += per_block)
        fake_store_add_lines(s, j, BLOCK_ITEMS, i, items - i < per_block ? items - i : per_block, "%u");
    return j;
}

#define HARNESS_WITH(options) HARNESS_OPTIONS(options, "true", "null")
#define HARNESS_PLAIN         HARNESS_WITH("null")
#define HARNESS_UNSURE        HARNESS_OPTIONS("null", "true", "false") /* its task must not run an item twice */

static inline struct fake_job *harness_add_plain(struct fake_store *s, const char *id, uint64_t items,
                                                 uint64_t per_block)
{
    return harness_add_items(s, id, HARNESS_PLAIN, items, per_block);
}

/* Starts a bench whose store has one pending job, `a`. */
static inline struct fake_job *bench_start_job(struct bench *b, unsigned slots, const char *options, uint64_t items,
                                               uint64_t per_block)
{
    bench_start(b, slots);
    return harness_add_items(b->store, "a", options, items, per_block);
}

/* The recorded answers of the items of a job. */
struct recorded {
    char *lines[4096]; /* by index; NULL: no answer */
    struct stored_counts counts;
    uint64_t sent; /* items that are recorded as sent */
};

static inline void recorded_release(struct recorded *all)
{
    for (size_t i = 0; i < ARRAY_SIZE(all->lines); i++) free(all->lines[i]);
    *all = (struct recorded){0};
}

static inline void record_line(struct recorded *all, const struct block *b, uint64_t index, const char *line,
                               size_t len)
{
    cr_assert_lt(index, ARRAY_SIZE(all->lines));
    cr_assert_null(all->lines[index], "item %llu is recorded twice", (unsigned long long)index);
    all->lines[index] = xstrndup(line, len);
    bool cancelled = strstr(all->lines[index], "\"cancelled\"") != NULL;
    if (b->kind == BLOCK_VALUES)
        all->counts.succeeded++;
    else
        ++*(cancelled ? &all->counts.cancelled : &all->counts.failed);
}

static inline void record_block(struct recorded *all, const struct block *b)
{
    const char *at = b->lines.data, *end = b->lines.data + b->lines.len;
    for (size_t i = 0; i < b->range_count; i++) {
        const struct block_range *range = &b->ranges[i];
        if (b->kind == BLOCK_SENT) all->sent += range->n;
        if (b->kind == BLOCK_UNSENT) all->sent -= range->n;
        if (b->kind != BLOCK_VALUES && b->kind != BLOCK_ERRORS) continue;
        for (uint64_t k = 0; k < range->n; k++) {
            const char *newline = memchr(at, '\n', (size_t)(end - at));
            cr_assert_not_null(newline, "a block has too few lines");
            record_line(all, b, range->first + k, at, (size_t)(newline - at));
            if (!range->repeated || k + 1 == range->n) at = newline + 1;
        }
    }
    if (b->kind == BLOCK_VALUES || b->kind == BLOCK_ERRORS) cr_assert_eq(at, end, "a block has too many lines");
}

/* Reads all answers of the job. Checks that no item has two answers, and that the counts of the job match the
 * answers. */
static inline struct recorded *harness_read(const struct fake_job *j)
{
    static struct recorded all;
    recorded_release(&all);
    for (size_t i = 0; i < j->block_count; i++) record_block(&all, &j->blocks[i]);
    cr_assert_eq(j->job.counts.succeeded, all.counts.succeeded, "%llu values are counted, %llu are there",
                 (unsigned long long)j->job.counts.succeeded, (unsigned long long)all.counts.succeeded);
    cr_assert_eq(j->job.counts.failed, all.counts.failed, "%llu errors are counted, %llu are there",
                 (unsigned long long)j->job.counts.failed, (unsigned long long)all.counts.failed);
    cr_assert_eq(j->job.counts.cancelled, all.counts.cancelled, "%llu cancelled items are counted, %llu are there",
                 (unsigned long long)j->job.counts.cancelled, (unsigned long long)all.counts.cancelled);
    return &all;
}

/* Checks that the job has ended in this state, with this number of values, and with an answer to each item. */
static inline void harness_expect_end(const struct fake_job *j, enum stored_state state, uint64_t values)
{
    cr_assert_eq(j->job.state, state, "job %s is %s", j->job.id, stored_state_name(j->job.state));
    struct recorded *all = harness_read(j);
    cr_assert_eq(all->counts.succeeded, values, "%llu values", (unsigned long long)all->counts.succeeded);
    for (uint64_t i = 0; i < j->job.items; i++) cr_assert_not_null(all->lines[i], "item %d has no answer", (int)i);
    recorded_release(all);
}

#endif
