/* Items that failed and are sent again: which items are sent together, when and how often they are sent, and how many
 * may wait. */
#include "unit/coordinator/sched/scheduler_harness.h"

static struct sched_job_params retrying(uint32_t on, double interval_s)
{
    struct sched_job_params p = params();
    p.hedge_enabled = false;
    p.retry.on = on;
    p.retry.interval_s = interval_s;
    p.retry.backoff_rate = 1;
    p.retry.full_jitter = false;
    return p;
}

static void fail(struct shell *sh, struct sched_attempt *a, enum sched_verdict verdict)
{
    struct sched_item_verdict v = sched_attempt_item_error(a, ITEM_TASK_ERROR, sh->now);
    cr_assert_eq(v.verdict, verdict);
}

/* Answers the attempt's items: 'v' with a value, 'e' with an error that is retried. */
static void respond(struct shell *sh, struct sched_attempt *a, const char *answers)
{
    for (const char *at = answers; *at; at++) {
        if (*at == 'v')
            answer(sh, a, 1, 0);
        else
            fail(sh, a, SCHED_ITEM_RETRIED);
    }
}

/* Expects the attempt to have the items with these indexes, and no others. */
static void expect_items(const struct sched_attempt *a, const uint64_t *indexes, uint32_t n)
{
    cr_assert_eq(items_of(a), n, "%u items instead of %u", items_of(a), n);
    for (uint32_t i = 0; i < n; i++)
        cr_assert_eq(sched_chunk_index(a->chunk, a->from + i), indexes[i], "item %u has index %llu", i,
                     (unsigned long long)sched_chunk_index(a->chunk, a->from + i));
}
#define EXPECT_ITEMS(a, ...)                                                                                           \
    expect_items(a, (const uint64_t[]){__VA_ARGS__}, ARRAY_SIZE(((const uint64_t[]){__VA_ARGS__})))

Test(scheduler_retries, items_of_a_chunk_that_failed_together_are_sent_again_in_one_request)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 8);
    struct sched_job_params p = retrying(SCHED_RETRY_ON(ITEM_TASK_ERROR), 1);
    p.chunk_size = 8;
    job_with(&sh, &p, 8);
    run(&sh);
    respond(&sh, sh.out[0], "eevevvee");
    end(&sh, sh.out[0], SCHED_END_COMPLETE);
    run(&sh);
    cr_assert_eq(sh.sends, 1);
    cr_assert_eq(sh.next, sh.now + NS_PER_S);
    until_sent(&sh);
    cr_assert_eq(sh.sends, 2);
    EXPECT_ITEMS(sh.out[0], 0, 1, 3, 6, 7);
    struct sched_accept accept = sched_attempt_answered(sh.out[0], 4, sh.now);
    uint64_t first;
    cr_assert_eq(accept.keep, 4);
    cr_assert_eq(sched_chunk_run(sh.out[0]->chunk, accept.at, &first), 2);
    cr_assert_eq(first, 0);
    cr_assert_eq(sched_chunk_run(sh.out[0]->chunk, accept.at + 2, &first), 1);
    cr_assert_eq(first, 3);
    cr_assert_eq(sched_chunk_run(sh.out[0]->chunk, accept.at + 3, &first), 2);
    cr_assert_eq(first, 6);
    complete(&sh, sh.out[0], 0);
    run(&sh);
    cr_assert_eq(sh.outcome.status, SCHED_SUCCEEDED);
    cr_assert_eq(sh.outcome.counts.retried, 5);
    shell_over(&sh);
}

Test(scheduler_retries, an_item_that_fails_soon_after_joins_and_no_item_waits_less_than_its_delay)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 8);
    struct sched_job_params p = retrying(SCHED_RETRY_ON(ITEM_TASK_ERROR), 1);
    p.chunk_size = 6;
    job_with(&sh, &p, 6);
    run(&sh);
    respond(&sh, sh.out[0], "ev");
    run(&sh);
    run_at(&sh, sh.now + 20 * MS);
    respond(&sh, sh.out[0], "e");
    run(&sh);
    cr_assert_eq(sh.next, sh.now + NS_PER_S, "the delay begins anew");
    run_at(&sh, sh.now + 40 * MS);
    respond(&sh, sh.out[0], "eve");
    end(&sh, sh.out[0], SCHED_END_COMPLETE);
    until_sent(&sh);
    EXPECT_ITEMS(sh.out[0], 0, 2);
    complete(&sh, sh.out[0], 0);
    until_sent(&sh);
    EXPECT_ITEMS(sh.out[0], 3, 5);
    complete(&sh, sh.out[0], 0);
    run(&sh);
    cr_assert_eq(sh.outcome.status, SCHED_SUCCEEDED);
    shell_over(&sh);
}

Test(scheduler_retries, a_chunk_of_retries_has_a_limited_size)
{
    enum { ITEMS = 40000 };
    struct shell sh;
    shell_init(&sh);
    for (unsigned i = 0; i < 3; i++) worker(&sh, 8);
    struct sched_job_params p = retrying(SCHED_RETRY_ON(ITEM_TASK_ERROR), 1);
    p.chunk_size = ITEMS;
    job_with(&sh, &p, ITEMS);
    run(&sh);
    for (unsigned i = 0; i < ITEMS; i++) fail(&sh, sh.out[0], SCHED_ITEM_RETRIED);
    end(&sh, sh.out[0], SCHED_END_COMPLETE);
    until_sent(&sh);
    run(&sh);
    cr_assert_eq(sh.out_n, 2);
    cr_assert_eq(items_of(sh.out[0]) + items_of(sh.out[1]), ITEMS);
    cr_assert_leq(items_of(sh.out[0]), 256 * 1024 / ITEM_BYTES);
    shell_over(&sh);
}

Test(scheduler_retries, a_chunk_of_retries_that_loses_its_workers_is_halved)
{
    struct shell sh;
    shell_init(&sh);
    for (unsigned i = 0; i < 4; i++) worker(&sh, 8);
    struct sched_job_params p = retrying(SCHED_RETRY_ON(ITEM_TASK_ERROR) | SCHED_RETRY_ON(ITEM_WORKER_LOST), 0.01);
    p.chunk_size = 9;
    job_with(&sh, &p, 9);
    run(&sh);
    respond(&sh, sh.out[0], "evevevevv");
    end(&sh, sh.out[0], SCHED_END_COMPLETE);
    for (unsigned losses = 0; losses < 2; losses++) {
        until_sent(&sh);
        EXPECT_ITEMS(sh.out[0], 0, 2, 4, 6);
        end(&sh, sh.out[0], SCHED_END_LOST);
        run(&sh);
    }
    uint64_t seen = 0;
    for (unsigned halves = 0; halves < 2; halves++) {
        until_sent(&sh);
        cr_assert_eq(items_of(sh.out[0]), 2);
        for (uint32_t i = 0; i < 2; i++) seen |= UINT64_C(1) << sched_chunk_index(sh.out[0]->chunk, i);
        complete(&sh, sh.out[0], 0);
        run(&sh);
    }
    cr_assert_eq(seen, 1 << 0 | 1 << 2 | 1 << 4 | 1 << 6);
    cr_assert_eq(sh.outcome.status, SCHED_SUCCEEDED);
    shell_over(&sh);
}

Test(scheduler_retries, a_lost_worker_is_charged_to_each_item_of_a_chunk_that_fails_later)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 8);
    worker(&sh, 8);
    struct sched_job_params p = retrying(SCHED_RETRY_ON(ITEM_TASK_ERROR) | SCHED_RETRY_ON(ITEM_WORKER_LOST), 0.01);
    p.chunk_size = 3;
    p.retry.max_attempts = 2;
    job_with(&sh, &p, 3);
    run(&sh);
    end(&sh, sh.out[0], SCHED_END_LOST);
    until_sent(&sh);
    cr_assert_eq(items_of(sh.out[0]), 3);
    for (unsigned i = 0; i < 3; i++) {
        struct sched_item_verdict v = sched_attempt_item_error(sh.out[0], ITEM_TASK_ERROR, sh.now);
        cr_assert_eq(v.verdict, SCHED_ITEM_FINAL, "the item has had both of its attempts");
        cr_assert_eq(v.attempts, 2);
    }
    end(&sh, sh.out[0], SCHED_END_COMPLETE);
    run(&sh);
    cr_assert_eq(sh.finished, 1);
    shell_over(&sh);
}

Test(scheduler_retries, earlier_errors_are_charged_to_items_whose_worker_fails_later)
{
    struct shell sh;
    shell_init(&sh);
    worker(&sh, 8);
    worker(&sh, 8);
    struct sched_job_params p = retrying(SCHED_RETRY_ON(ITEM_TASK_ERROR) | SCHED_RETRY_ON(ITEM_WORKER_LOST), 0.01);
    p.chunk_size = 3;
    p.retry.max_attempts = 2;
    job_with(&sh, &p, 3);
    run(&sh);
    respond(&sh, sh.out[0], "eee");
    end(&sh, sh.out[0], SCHED_END_COMPLETE);
    until_sent(&sh);
    end(&sh, sh.out[0], SCHED_END_BAD_STATUS);
    run(&sh);
    cr_assert_eq(sh.errors[ITEM_WORKER_LOST], 3);
    cr_assert_eq(sh.last_error_attempts, 2);
    cr_assert_eq(sh.finished, 1);
    shell_over(&sh);
}

Test(scheduler_retries, the_losses_of_halves_are_not_charged_to_an_item_that_fails)
{
    struct shell sh;
    shell_init(&sh);
    for (unsigned i = 0; i < 8; i++) worker(&sh, 8);
    struct sched_job_params p = retrying(SCHED_RETRY_ON(ITEM_TASK_ERROR) | SCHED_RETRY_ON(ITEM_WORKER_LOST), 0.001);
    p.chunk_size = 64;
    p.retry.max_attempts = 4;
    job_with(&sh, &p, 64);
    run(&sh);
    /* Item 0 kills its workers until it is in a chunk of two. Its neighbour then fails. */
    while (true) {
        until_sent(&sh);
        struct sched_attempt *a = sh.out[0];
        if (a->chunk->first == 0 && items_of(a) == 2) break;
        if (a->chunk->first == 0)
            end(&sh, a, SCHED_END_LOST);
        else
            complete(&sh, a, 0);
        if (sh.probed) sched_endpoint_probed(sh.s, sh.probed, true, sh.now);
        sh.probed = NULL;
        run(&sh);
    }
    answer(&sh, sh.out[0], 1, 0);
    struct sched_item_verdict v = sched_attempt_item_error(sh.out[0], ITEM_TASK_ERROR, sh.now);
    cr_assert_eq(v.attempts, 3, "two losses of the whole chunk, and its own error");
    cr_assert_eq(v.verdict, SCHED_ITEM_RETRIED);
    shell_over(&sh);
}

enum { MANY = 100000 };

/* Makes each sent item fail once, and answers it when it is sent again. */
static void fail_all_once(struct shell *sh)
{
    while (sh->out_n > 0) {
        struct sched_attempt *a = sh->out[sh->out_n - 1];
        bool again = a->chunk->erred > 0;
        if (again)
            answer(sh, a, items_of(a), 0);
        else
            while (a->received < items_of(a)) fail(sh, a, SCHED_ITEM_RETRIED);
        end(sh, a, SCHED_END_COMPLETE);
    }
}

static void start_failing_job(struct shell *sh, uint64_t deadline_ns)
{
    shell_init(sh);
    for (unsigned i = 0; i < 8; i++) worker(sh, 16);
    struct sched_job_params p = retrying(SCHED_RETRY_ON(ITEM_TASK_ERROR), 30);
    p.chunk_size = 1;
    p.deadline_ns = deadline_ns;
    job_with(sh, &p, MANY);
    run(sh);
}

Test(scheduler_retries, a_job_takes_no_more_items_while_many_wait_and_goes_on_later)
{
    struct shell sh;
    start_failing_job(&sh, SCHED_NEVER);
    size_t most = 0;
    while (sh.finished == 0) {
        fail_all_once(&sh);
        run(&sh);
        size_t chunks = sched_stats(sh.s).chunks;
        most = chunks > most ? chunks : most;
        if (sh.out_n == 0) run_on(&sh, 1);
    }
    cr_assert_lt(most, 35000, "%zu chunks waited at the same time", most);
    cr_assert_gt(most, 30000);
    cr_assert_eq(sh.outcome.status, SCHED_SUCCEEDED);
    cr_assert_eq(sh.outcome.counts.retried, MANY);
    shell_over(&sh);
}

Test(scheduler_retries, a_job_with_many_waiting_items_ends_in_slices_and_reports_equal_errors_together)
{
    struct shell sh;
    start_failing_job(&sh, 20 * NS_PER_S);
    while (sh.out_n > 0) {
        fail_all_once(&sh);
        run(&sh);
    }
    uint64_t waiting = sched_stats(sh.s).chunks;
    cr_assert_gt(waiting, 30000);
    unsigned runs = 0, reports = sh.reports, most_reports = 0, payloads = sh.payloads, most_released = 0;
    for (; sh.finished == 0; runs++) {
        run_at(&sh, 20 * NS_PER_S);
        most_reports = sh.reports - reports > most_reports ? sh.reports - reports : most_reports;
        most_released = payloads - sh.payloads > most_released ? payloads - sh.payloads : most_released;
        reports = sh.reports;
        payloads = sh.payloads;
    }
    cr_assert_gt(runs, waiting / 2000);
    cr_assert_leq(most_released, 2000);
    cr_assert_leq(most_reports, 3, "%u errors were reported in one run", most_reports);
    cr_assert_eq(sh.errors[ITEM_DEADLINE_EXCEEDED], MANY);
    cr_assert_eq(sh.outcome.status, SCHED_TIMED_OUT);
    shell_over(&sh);
}

Test(scheduler_retries, only_items_that_waited_for_the_budget_name_it)
{
    struct shell sh;
    shell_init(&sh);
    for (unsigned i = 0; i < 4; i++) worker(&sh, 16);
    struct sched_job_params p = retrying(SCHED_RETRY_ON(ITEM_TASK_ERROR) | SCHED_RETRY_ON(ITEM_WORKER_LOST), 0.05);
    p.chunk_size = 1;
    p.deadline_ns = sh.now + 90 * MS;
    job_with(&sh, &p, 12);
    run(&sh);
    cr_assert_eq(sh.out_n, 12);
    struct sched_attempt *last = sh.out[11];
    while (sh.out_n > 1) end(&sh, sh.out[0], SCHED_END_NO_MEMORY);
    run_at(&sh, sh.now + 55 * MS);
    uint64_t starved = sched_stats(sh.s).budget_exhausted;
    cr_assert_gt(starved, 0);
    fail(&sh, last, SCHED_ITEM_RETRIED);
    end(&sh, last, SCHED_END_COMPLETE);
    run_at(&sh, p.deadline_ns);
    cr_assert_eq(sh.finished, 1);
    cr_assert_eq(sh.errors[ITEM_DEADLINE_EXCEEDED], 12);
    cr_assert_gt(sh.budget_errors, 0);
    cr_assert_leq(sh.budget_errors, starved, "an item whose delay was not over did not wait for the budget");
    shell_over(&sh);
}
