/*
 * Jobs without HTTP and without workers: the exchanges are fake, and a test answers the chunks that the scheduler
 * sends. Each item's value is the item itself.
 */
#ifndef FANTAIL_TEST_JOB_HARNESS_H
#define FANTAIL_TEST_JOB_HARNESS_H

#include "common/base/limits.h"
#include "common/observe/log.h"
#include "common/observe/metrics.h"
#include "coordinator/items/payload.h"
#include "coordinator/job/job.h"
#include "coordinator/job/job_internal.h"
#include "unit/coordinator/fake_client.h"
#include "unit/coordinator/fake_exchange.h"
#include "unit/fake_clock.h"
#include "unit/leaks.h"

struct stage {
    uv_loop_t loop;
    struct jobs_config config;
    struct worker_fleet fleet;
    struct endpoint endpoint; /* the endpoint of the fleet, after stage_has_worker() was called */
    struct survey_worker *asked;
    struct scheduler_timing turn;
    struct jobs jobs;
    struct sched_attempt *out[256]; /* attempts that were sent and have not ended */
    unsigned out_n, cut_offs;
    unsigned jobs_gone;
};

static inline size_t stage_cut(void *ctx, struct sched_chunk *chunk, size_t max_items, size_t max_bytes, size_t *bytes)
{
    return phase_cut(sched_job_owner(chunk->job), chunk, max_items, max_bytes, bytes);
}

static inline uint64_t stage_drop(void *ctx, struct sched_job *job, uint64_t max_items, uint64_t *first)
{
    return phase_drop(sched_job_owner(job), max_items, first);
}

static inline size_t stage_slice(void *ctx, struct sched_chunk *whole, uint32_t at, uint32_t end,
                                 struct sched_chunk *part)
{
    part->payload = payload_add(part->payload, whole->payload, at, end);
    return 0;
}

static inline void stage_release(void *ctx, struct sched_chunk *chunk)
{
    payload_free(chunk->payload);
}

static inline void stage_send(void *ctx, struct sched_attempt *a)
{
    struct stage *s = ctx;
    cr_assert_lt(s->out_n, ARRAY_SIZE(s->out));
    s->out[s->out_n++] = a;
}

static inline void stage_forget(struct stage *s, const struct sched_attempt *a)
{
    unsigned i = 0;
    while (i < s->out_n && s->out[i] != a) i++;
    cr_assert_lt(i, s->out_n, "the attempt was not sent, or has ended");
    memmove(&s->out[i], &s->out[i + 1], (--s->out_n - i) * sizeof s->out[0]);
}

static inline void stage_cut_off(void *ctx, struct sched_attempt *a, const char *why)
{
    struct stage *s = ctx;
    stage_forget(s, a);
    s->cut_offs++;
}

static inline void stage_settle_error(void *ctx, struct sched_job *job, uint64_t first, uint64_t count,
                                      const struct sched_failure *why)
{
    struct buf line = {0};
    buf_addf(&line, "{\"error\":{\"name\":\"%s\",\"sent\":%s}}\n", item_error_name(why->error),
             why->sent ? "true" : "false");
    phase_add_error(sched_job_owner(job), first, count, line.data, line.len);
    buf_release(&line);
}

static inline void stage_finished(void *ctx, struct sched_job *job, const struct sched_outcome *outcome)
{
    phase_finished(sched_job_owner(job), outcome);
}

static inline void stage_waiting(void *ctx, struct sched_job *job, enum sched_waiting why)
{
    phase_waiting(sched_job_owner(job), why);
}

static inline void stage_before_run(void *data)
{
    jobs_carry_out_cancels(&((struct stage *)data)->jobs);
}

static inline void stage_job_gone(void *data)
{
    ((struct stage *)data)->jobs_gone++;
}

static inline void stage_init(struct stage *s)
{
    static const struct scheduler_ops ops = {
        .cut = stage_cut,
        .drop = stage_drop,
        .slice = stage_slice,
        .release = stage_release,
        .send = stage_send,
        .cut_off = stage_cut_off,
        .settle_error = stage_settle_error,
        .job_finished = stage_finished,
        .waiting = stage_waiting,
    };
    struct scheduler_config config;
    *s = (struct stage){.config = {.worker_wait_s = 300,
                                   .heartbeat_s = 15,
                                   .max_unanswered_errors = 1000,
                                   .spill_dir = "/tmp",
                                   .max_jobs = 100,
                                   .result_memory_bytes = 4096}};
    log_set_level(LOG_LEVEL_ERROR);
    uv_loop_init(&s->loop);
    scheduler_config_init(&config);
    s->turn = (struct scheduler_timing){
        .scheduler = scheduler_new(&config, &ops, s), .before_run = stage_before_run, .data = s};
    scheduler_timing_start(&s->turn, &s->loop);
    s->jobs = (struct jobs){
        .config = &s->config, .fleet = &s->fleet, .turn = &s->turn, .job_gone = stage_job_gone, .data = s};
    jobs_register_metrics(&s->jobs);
    jobs_init(&s->jobs, &s->loop);
}

/* Adds the address of a worker. A job asks this address for the worker's tasks, and the scheduler may send items to
 * this address. The clock stands still from now on. If the clock moved, a later job would ask the address a second
 * time. */
static inline void stage_has_worker(struct stage *s)
{
    fake_clock_start();
    s->endpoint = (struct endpoint){.url = (char *)"http://worker"};
    catalog_release(&s->fleet.survey.catalog);
    survey_start(&s->fleet.survey, &s->loop, NULL, false);
    s->asked = survey_add(&s->fleet.survey, &s->endpoint, NULL, NULL);
}

static inline struct sched_endpoint *stage_add_slots(struct stage *s, unsigned slots)
{
    return sched_endpoint_add(s->turn.scheduler, NULL, false, slots, now_ns());
}

static inline void stage_stop(struct stage *s)
{
    cr_assert_eq(s->jobs.count, 0, "%u jobs are left", s->jobs.count);
    scheduler_timing_stop(&s->turn);
    scheduler_free(s->turn.scheduler);
    jobs_stop(&s->jobs);
    jobs_release(&s->jobs);
    if (s->asked) survey_remove(&s->fleet.survey, s->asked);
    survey_stop(&s->fleet.survey);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&s->loop), 0);
}

static inline void stage_over(struct stage *s)
{
    stage_stop(s);
    metrics_release();
    fake_client_release();
    assert_no_leaks();
}

static inline void stage_run(struct stage *s)
{
    scheduler_timing_run(&s->turn);
}

/* Returns the newest job. */
static inline struct job *stage_job(struct stage *s)
{
    return jobs_next(&s->jobs, NULL);
}

static inline void stage_post(struct stage *s, struct http_exchange *x)
{
    submission_handle(x, &s->jobs);
}

/* Posts a complete request, and runs the scheduler. */
static inline void stage_post_body(struct stage *s, struct http_exchange *x, const char *body)
{
    stage_post(s, x);
    if (x->ops && !http_exchange_answered(x)) exchange_send_text(x, body);
    if (x->ops) exchange_end_body(x);
    stage_run(s);
}

/* Answers n items of this attempt. */
static inline void stage_answer_of(struct sched_attempt *a, uint32_t n)
{
    struct phase *p = sched_job_owner(a->chunk->job);
    size_t len;
    const char *item = payload_range(a->chunk->payload, a->from + a->received, a->from + a->received + n, &len);
    struct buf lines = {0};
    for (uint32_t i = 0; i < n; i++) {
        const char *end = strchr(item, '\n');
        buf_addf(&lines, "{\"value\":%.*s}\n", (int)(end - item), item);
        item = end + 1;
    }
    struct sched_accept accept = sched_attempt_answered(a, n, now_ns());
    cr_assert_eq(accept.keep, n);
    phase_add_values(p, sched_chunk_index(a->chunk, accept.at), n, lines.data, lines.len);
    buf_release(&lines);
}

/* Answers n items of the attempt that was sent first. */
static inline void stage_answer(struct stage *s, uint32_t n)
{
    cr_assert_gt(s->out_n, 0, "nothing was sent");
    stage_answer_of(s->out[0], n);
}

/* Answers the next item of this attempt with an error. */
static inline void stage_answer_error(struct sched_attempt *a)
{
    static const char line[] = "{\"error\":{\"name\":\"task_error\"}}\n";
    struct phase *p = sched_job_owner(a->chunk->job);
    struct sched_item_verdict v = sched_attempt_item_error(a, ITEM_TASK_ERROR, now_ns());
    cr_assert_eq(v.verdict, SCHED_ITEM_FINAL);
    phase_add_error(p, v.index, 1, line, strlen(line));
}

/* Reports that all items of this attempt are answered. */
static inline void stage_complete(struct stage *s, struct sched_attempt *a)
{
    stage_forget(s, a);
    sched_attempt_ended(a, SCHED_END_COMPLETE, 0, now_ns());
    stage_run(s);
}

/* Answers all chunks until the scheduler sends no more. */
static inline void stage_answer_all(struct stage *s)
{
    stage_run(s);
    while (s->out_n > 0) {
        struct sched_attempt *a = s->out[0];
        uint32_t left = a->to - a->from - a->received;
        if (left > 0) stage_answer(s, left);
        stage_complete(s, a);
    }
}

#endif
