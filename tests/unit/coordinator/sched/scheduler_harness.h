/*
 * In the tests of the scheduler, the test controls the environment of the scheduler. Sent attempts are in an array, and
 * the clock moves only when the test moves it. Only the tests of the scheduler include this file.
 */
#ifndef FANTAIL_TEST_SCHEDULER_HARNESS_H
#define FANTAIL_TEST_SCHEDULER_HARNESS_H

#include <criterion/criterion.h>

#include "coordinator/sched/sched_stats.h"
#include "coordinator/sched/scheduler.h"
#include "unit/leaks.h"

#define ITEM_BYTES 8
#define MS         NS_PER_MS

struct shell {
    struct scheduler *s;
    uint64_t now, next;
    struct sched_attempt *out[4096]; /* sent attempts that have not ended */
    unsigned out_n, sends, cuts, probes, payloads, finished, waits, reports;
    struct sched_endpoint *probed;
    uint64_t cut_items; /* how many items of all jobs the scheduler has taken */
    uint64_t run_items; /* after this many items of one job, indexes are missing; 0: never */
    uint64_t errors[ITEM_ERROR_COUNT];
    uint64_t last_error_first;
    uint64_t sent_errors;   /* items that may have run when their job ended */
    uint64_t budget_errors; /* items whose error names the retry budget */
    unsigned last_error_attempts;
    struct sched_outcome outcome;
    uint64_t hedged; /* hedged items of the jobs that have finished */
    enum sched_waiting waiting;
};

/* If run_items is not 0, the test has only one job, and RUN_GAP indexes are missing after every run_items items. */
#define RUN_GAP 5
static inline uint64_t shell_next(struct shell *sh, uint64_t most, uint64_t *first)
{
    *first = sh->cut_items;
    uint64_t n = most;
    if (sh->run_items) {
        uint64_t left = sh->run_items - sh->cut_items % sh->run_items;
        *first += sh->cut_items / sh->run_items * RUN_GAP;
        n = n < left ? n : left;
    }
    sh->cut_items += n;
    return n;
}

static inline uint64_t shell_drop(void *ctx, struct sched_job *job, uint64_t max_items, uint64_t *first)
{
    return shell_next(ctx, max_items, first);
}

static inline size_t shell_cut(void *ctx, struct sched_chunk *chunk, size_t max_items, size_t max_bytes, size_t *bytes)
{
    struct shell *sh = ctx;
    size_t n = max_bytes / ITEM_BYTES < max_items ? max_bytes / ITEM_BYTES : max_items;
    n = shell_next(sh, n ? n : 1, &chunk->first);
    *bytes = n * ITEM_BYTES;
    chunk->payload = sh;
    sh->payloads++;
    return n;
}

static inline size_t shell_slice(void *ctx, struct sched_chunk *whole, uint32_t at, uint32_t end,
                                 struct sched_chunk *part)
{
    struct shell *sh = ctx;
    cr_assert_eq(whole->payload, sh);
    cr_assert_lt(at, end);
    if (!part->payload) sh->payloads++;
    part->payload = sh;
    return (end - at) * ITEM_BYTES;
}

static inline void shell_release(void *ctx, struct sched_chunk *chunk)
{
    struct shell *sh = ctx;
    sh->payloads--;
    chunk->payload = NULL;
}

static inline void shell_send(void *ctx, struct sched_attempt *a)
{
    struct shell *sh = ctx;
    cr_assert_lt(sh->out_n, 4096);
    sh->out[sh->out_n++] = a;
    sh->sends++;
}

static inline void shell_take(struct shell *sh, const struct sched_attempt *a)
{
    for (unsigned i = 0; i < sh->out_n; i++) {
        if (sh->out[i] != a) continue;
        memmove(&sh->out[i], &sh->out[i + 1], (--sh->out_n - i) * sizeof *sh->out);
        return;
    }
    cr_assert_fail("the attempt was not sent, or has ended");
}

static inline void shell_cut_off(void *ctx, struct sched_attempt *a, const char *why)
{
    struct shell *sh = ctx;
    shell_take(sh, a);
    sh->cuts++;
}

static inline void shell_settle_error(void *ctx, struct sched_job *job, uint64_t first, uint64_t count,
                                      const struct sched_failure *why)
{
    struct shell *sh = ctx;
    sh->reports++;
    sh->errors[why->error] += count;
    sh->last_error_first = first;
    sh->last_error_attempts = why->attempts;
    sh->sent_errors += why->sent ? count : 0;
    if (strstr(why->cause, "retry budget")) sh->budget_errors += count;
}

static inline void shell_finished(void *ctx, struct sched_job *job, const struct sched_outcome *outcome)
{
    struct shell *sh = ctx;
    sh->finished++;
    sh->outcome = *outcome;
    sh->hedged += outcome->counts.hedged;
}

static inline void shell_waiting(void *ctx, struct sched_job *job, enum sched_waiting why)
{
    struct shell *sh = ctx;
    sh->waits++;
    sh->waiting = why;
}

static inline void shell_probe(void *ctx, struct sched_endpoint *e)
{
    struct shell *sh = ctx;
    sh->probes++;
    sh->probed = e;
}

static const struct scheduler_ops shell_ops = {
    .cut = shell_cut,
    .drop = shell_drop,
    .slice = shell_slice,
    .release = shell_release,
    .send = shell_send,
    .cut_off = shell_cut_off,
    .settle_error = shell_settle_error,
    .job_finished = shell_finished,
    .waiting = shell_waiting,
    .probe = shell_probe,
};

static inline void shell_init(struct shell *sh)
{
    *sh = (struct shell){.now = 1000 * MS};
    struct scheduler_config config;
    scheduler_config_init(&config);
    sh->s = scheduler_new(&config, &shell_ops, sh);
}

/* Adds a worker that has reported its slots. */
static inline struct sched_endpoint *worker(struct shell *sh, unsigned slots)
{
    return sched_endpoint_add(sh->s, NULL, false, slots, sh->now);
}

static inline void run_at(struct shell *sh, uint64_t now)
{
    sh->now = now;
    sh->next = scheduler_run(sh->s, now);
}

static inline void run(struct shell *sh)
{
    run_at(sh, sh->now);
}

/* Moves the clock to the next deadline, `turns` times. */
static inline void run_on(struct shell *sh, unsigned turns)
{
    while (turns-- > 0 && sh->next != SCHED_NEVER) run_at(sh, sh->next > sh->now ? sh->next : sh->now + 1);
}

static inline struct sched_job *job_with(struct shell *sh, const struct sched_job_params *p, uint64_t items)
{
    struct sched_job *job = sched_job_add(sh->s, p, sh->now);
    sched_job_offer(job, items, items * ITEM_BYTES);
    sched_job_no_more_items(job);
    return job;
}

static inline struct sched_job *job_of(struct shell *sh, uint64_t items)
{
    struct sched_job_params p;
    sched_job_params_init(&p);
    return job_with(sh, &p, items);
}

static inline uint32_t items_of(const struct sched_attempt *a)
{
    return a->to - a->from;
}

/* Moves the clock by after_ms, and lets the attempt answer n items. */
static inline void answer(struct shell *sh, struct sched_attempt *a, uint32_t n, uint64_t after_ms)
{
    sh->now += after_ms * MS;
    struct sched_accept accept = sched_attempt_answered(a, n, sh->now);
    cr_assert_eq(accept.drop + accept.keep, n);
}

static inline void end(struct shell *sh, struct sched_attempt *a, enum sched_end how)
{
    shell_take(sh, a);
    sched_attempt_ended(a, how, 0, sh->now);
}

static inline void complete(struct shell *sh, struct sched_attempt *a, uint64_t after_ms)
{
    answer(sh, a, items_of(a) - a->received, after_ms);
    end(sh, a, SCHED_END_COMPLETE);
}

/* Answers all sent attempts of the job, without moving the clock. */
static inline void complete_job(struct shell *sh, const struct sched_job *job)
{
    for (unsigned i = 0; i < sh->out_n;) {
        if (sh->out[i]->chunk->job == job)
            complete(sh, sh->out[i], 0);
        else
            i++;
    }
}

/* Moves the clock until an attempt is sent. */
static inline void until_sent(struct shell *sh)
{
    for (unsigned turns = 0; sh->out_n == 0; turns++) {
        cr_assert_lt(turns, 1000, "nothing is ever sent");
        run_on(sh, 1);
    }
}

/* Answers all sent attempts until the job has ended. */
static inline void complete_all(struct shell *sh)
{
    for (unsigned turn = 0; turn < 100000 && (sh->out_n > 0 || sh->next != SCHED_NEVER) && sh->finished == 0; turn++) {
        if (sh->out_n > 0)
            complete(sh, sh->out[0], 1);
        else
            sh->now = sh->next;
        run(sh);
    }
}

static inline void shell_over(struct shell *sh)
{
    scheduler_free(sh->s);
    cr_assert_eq(sh->payloads, 0);
    assert_no_leaks();
}

static inline struct sched_job_params params(void)
{
    struct sched_job_params p;
    sched_job_params_init(&p);
    return p;
}

#endif
