/* Makes a request about a durable job, without HTTP and without a database. */
#ifndef FANTAIL_TEST_API_HARNESS_H
#define FANTAIL_TEST_API_HARNESS_H

#include "common/observe/log.h"
#include "coordinator/coordinator.h"
#include "unit/coordinator/durable/fake_store.h"
#include "unit/coordinator/fake_client.h"
#include "unit/coordinator/fake_exchange.h"
#include "unit/fake_clock.h"
#include "unit/leaks.h"

#define ID "0195f2c4-0000-7000-8000-000000000001"

struct desk {
    uv_loop_t loop;
    struct fake_store *store;
    struct coordinator c; /* only what the handlers need */
    struct jobs_config config;
    struct http_exchange x;
};

static inline void desk_init(struct desk *d)
{
    *d = (struct desk){.x = {.id = ID}};
    log_set_level(LOG_LEVEL_ERROR);
    uv_loop_init(&d->loop);
    d->store = fake_store_new(NULL);
    d->c.store = &d->store->store;
    d->c.watches = (struct job_watches){.store = d->c.store, .heartbeat_s = 15, .max_unanswered_errors = 1000};
    d->c.durable.draining = true; /* so that it claims no jobs */
    list_init(&d->c.durable.runs);
    list_init(&d->c.jobs.by_age);
    list_init(&d->c.jobs.cursors);
    d->c.jobs.buckets_n = 1;
    d->c.jobs.buckets = xcalloc(1, sizeof *d->c.jobs.buckets);
    d->c.jobs.config = &d->config;
    d->c.durable.jobs = &d->c.jobs;
    jobs_register_metrics(&d->c.jobs);
    fake_clock_start();
    job_watches_start(&d->c.watches, &d->loop);
}

static inline void desk_over(struct desk *d)
{
    if (!d->x.closed) exchange_close(&d->x, HTTP_CLOSED_DONE);
    fake_store_run(d->store);
    fake_store_free(d->store);
    free(d->c.jobs.buckets);
    job_watches_stop(&d->c.watches);
    uv_run(&d->loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&d->loop), 0);
    fake_client_release();
    fake_clock_ns = 0;
    assert_no_leaks();
}

/* Lets `after_ns` pass for the only watch of the desk, and runs the next turn of this watch. */
static inline void tick(struct desk *d, uint64_t after_ns)
{
    struct list_link *first = list_next(&d->c.watches.all, NULL);
    cr_assert(first, "nobody waits");
    struct job_watch *w = CONTAINER_OF(first, struct job_watch, link);
    w->ops->tick(w->owner, now_ns() + after_ns);
    fake_store_run(d->store);
}

#endif
