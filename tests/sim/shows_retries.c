/* Large scenarios with items that fail, and with items that are sent again because they failed. */
#include "sim/shows.h"

/* Items that fail must share requests, and so must items that are sent again because they failed. */
void show_failing(void)
{
    const char *name = "failing";
    struct sim_scenario sc = show_fleet(name, 100, 2, 1000000, 10e-6);
    sc.spread = SPREAD_CONSTANT;
    sc.latency_s = 0.0001;
    double plain = (double)show_run(&sc).requests;
    sc.faults.item_error = 1;
    show_judge(name, "1e6 of 10 us, all fail: chunks / chunks if none fails", (double)show_run(&sc).requests / plain, 2,
               true);
    sc.faults.item_error = 0.3;
    sc.params.retry.on = SCHED_RETRY_ON(ITEM_TASK_ERROR);
    sc.params.retry.max_attempts = 2;
    struct sim_result r = show_run(&sc);
    show_judge(name, "30 % fail and are sent again: chunks / chunks if none fails", (double)r.requests / plain, 20,
               true);
    show_judge(name, "items sent again", (double)r.counts.retried, 299000, false);
    sc = show_fleet(name, 100, 2, 200000, 0.001);
    sc.faults.item_error = 0.3;
    sc.params.retry = (struct sched_retry){.max_attempts = 2, .interval_s = 0.1, .on = SCHED_RETRY_ON(ITEM_TASK_ERROR)};
    r = show_run(&sc);
    show_judge(name, "2e5 of 1 ms, 30 % are sent again: makespan / ideal", r.makespan_s / (1.3 * r.ideal_s), 1.9, true);
}

/* RETRY_WAIT_BYTES limits the bytes of the items that wait to be sent again, and RETRY_RUN_BYTES is added for each run
 * of consecutive items (scheduler_internal.h). While the limit is reached, items must still be sent again. */
void show_backoff(void)
{
    struct sim_scenario sc = show_fleet("backoff", 10, 8, 400000, 0.001);
    sc.faults.item_error = 1;
    sc.params.chunk_size = 1;
    sc.params.retry = (struct sched_retry){.max_attempts = 2,
                                           .interval_s = 30,
                                           .backoff_rate = 2,
                                           .max_delay_s = 30,
                                           .on = SCHED_RETRY_ON(ITEM_TASK_ERROR)};
    sc.params.deadline_ns = 60 * NS_PER_S;
    struct sim_result r = show_run(&sc);
    show_judge(sc.name, "4e5 items fail one by one: MiB of scheduler memory", (double)r.peak_memory / 1048576, 40,
               true);
    show_judge(sc.name, "items sent again, although the limit was reached", (double)r.counts.retried, 60000, false);
}
