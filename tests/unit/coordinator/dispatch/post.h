/* A fixture for tests of the dispatcher: the test plays the job and the worker. */
#ifndef FANTAIL_TEST_POST_H
#define FANTAIL_TEST_POST_H

#include "coordinator/dispatch/dispatcher.h"

#include "common/observe/log.h"
#include "common/observe/metrics.h"
#include "coordinator/dispatch/worker_endpoint.h"
#include "coordinator/job/job.h"
#include "coordinator/job/job_internal.h"
#include "coordinator/sched/sched_stats.h"
#include "protocol/protocol.h"
#include "unit/coordinator/fake_client.h"
#include "unit/coordinator/fake_exchange.h"
#include "unit/leaks.h"

#define FOUR "{\"task\":\"echo\",\"items\":[1,2,3,4],\"chunk_size\":4,\"hedge\":{\"enabled\":false}}"

/* A dispatcher between a job and a worker. The test plays the job and the worker. */
struct post {
    uv_loop_t loop;
    struct jobs_config config;
    struct worker_fleet_config fleet_config;
    struct worker_fleet fleet;
    struct scheduler_timing turn;
    struct dispatcher dispatcher;
    struct jobs jobs;
    struct http_exchange x;
};

static inline void before_run(void *data)
{
    jobs_carry_out_cancels(&((struct post *)data)->jobs);
}

static inline void job_gone(void *data)
{
}

/* Starts a dispatcher for these workers. `tasks` is the worker's list of tasks. */
static inline void post_init_with(struct post *p, const char *workers, const char *tasks)
{
    char err[200];
    *p = (struct post){.config = {.worker_wait_s = 300,
                                  .heartbeat_s = 15,
                                  .max_unanswered_errors = 1000,
                                  .spill_dir = "/tmp",
                                  .max_jobs = 100,
                                  .result_memory_bytes = 1 << 20},
                       .fleet_config = {.workers = workers, .dns_refresh_s = 5}};
    log_set_level(LOG_LEVEL_ERROR + 1);
    uv_loop_init(&p->loop);
    p->fleet.config = &p->fleet_config;
    cr_assert(worker_fleet_start(&p->fleet, &p->loop, err, sizeof err));
    p->turn.before_run = before_run;
    p->turn.data = p;
    scheduler_timing_start(&p->turn, &p->loop);
    dispatcher_register_metrics(&p->dispatcher);
    dispatcher_start(&p->dispatcher, &p->fleet, &p->turn, p->config.worker_wait_s);
    p->jobs =
        (struct jobs){.config = &p->config, .fleet = &p->fleet, .turn = &p->turn, .job_gone = job_gone, .data = p};
    jobs_register_metrics(&p->jobs);
    jobs_init(&p->jobs, &p->loop);
    cr_assert(worker_fleet_find_workers(&p->fleet, &dispatcher_endpoints_ops, &p->dispatcher, err, sizeof err));
    cr_assert_str_eq(last_call()->url, "http://worker:8081" PATH_TASKS);
    last_call()->options.on_body(last_call()->options.data, tasks, strlen(tasks));
    call_end(last_call(), HTTP_CALL_OK, 200, false);
    scheduler_timing_run(&p->turn);
}

static inline void post_init(struct post *p, const char *workers)
{
    post_init_with(p, workers, "{\"tasks\":[{\"name\":\"echo\"}]}");
}

static inline struct http_call *post_job(struct post *p, const char *body)
{
    unsigned before = fake_calls_n;
    submission_handle(&p->x, &p->jobs);
    exchange_send_text(&p->x, body);
    exchange_end_body(&p->x);
    scheduler_timing_run(&p->turn);
    cr_assert_eq(fake_calls_n, before + 1, "the chunk is sent");
    return last_call();
}

static inline void post_over(struct post *p)
{
    exchange_close(&p->x, HTTP_CLOSED_HANG_UP);
    scheduler_timing_run(&p->turn);
    cr_assert_eq(p->jobs.count, 0);
    scheduler_timing_stop(&p->turn);
    worker_fleet_stop(&p->fleet);
    dispatcher_release(&p->dispatcher);
    worker_fleet_release(&p->fleet);
    jobs_stop(&p->jobs);
    jobs_release(&p->jobs);
    uv_run(&p->loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&p->loop), 0);
    metrics_release();
    fake_client_release();
    assert_no_leaks();
}

#endif
