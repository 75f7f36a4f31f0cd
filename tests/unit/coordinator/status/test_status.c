#include <criterion/criterion.h>

#include "common/observe/metrics.h"
#include "coordinator/status/status.h"

static const struct scheduler_ops no_ops;

static struct scheduler *new_scheduler(void)
{
    struct scheduler_config config;
    scheduler_config_init(&config);
    return scheduler_new(&config, &no_ops, NULL);
}

Test(status, the_snapshot_and_the_metrics_give_the_same_figures)
{
    struct scheduler *s = new_scheduler();
    unsigned jobs = 3;
    struct status_source from = {s, &jobs};
    struct sched_job_params params;
    sched_job_params_init(&params);
    sched_job_offer(sched_job_add(s, &params, 1), 40, 400);
    scheduler_run(s, 1);
    sched_endpoint_add(s, NULL, false, 4, 1);

    struct status now = status_now(&from);
    cr_assert_eq(now.jobs_running, 3);
    cr_assert_eq(now.queued_items, 40);
    cr_assert_eq(now.demand_slots, 40);
    cr_assert_eq(now.endpoints[ENDPOINT_OPEN], 1);

    status_register_metrics(&from);
    jobs = 5;
    struct buf text = {0}, want = {0};
    cr_assert(metrics_render(&text));
    cr_assert(strstr(buf_cstr(&text), "\nfantail_jobs_running 5\n"), "%s", text.data);
    cr_assert(strstr(text.data, "\nfantail_items_queued 40\n"), "%s", text.data);
    cr_assert(strstr(text.data, "\nfantail_endpoints{state=\"open\"} 1\n"), "%s", text.data);
    cr_assert(strstr(text.data, "\nfantail_endpoints{state=\"ejected\"} 0\n"), "%s", text.data);
    buf_addf(&want, "\nfantail_hedges_total %llu\n", (unsigned long long)now.hedges);
    cr_assert(strstr(text.data, buf_cstr(&want)), "%s", text.data);
    buf_release(&want);
    buf_release(&text);
    metrics_release();
    scheduler_free(s);
}

Test(status, a_job_is_written_with_its_escaped_task_and_without_an_unknown_end)
{
    struct buf out = {0};
    struct status_job job = {.id = "7", .state = "pending", .task = "a\"b", .elapsed_ns = 1500 * NS_PER_MS};
    job.counts.total = 2;
    status_write_job(&out, &job);
    cr_assert_str_eq(buf_cstr(&out), "{\"id\":\"7\",\"status\":\"pending\",\"task\":\"a\\\"b\",\"counts\":{\"total\":2,"
                                     "\"succeeded\":0,\"failed\":0,\"cancelled\":0,\"retried\":0,\"hedged\":0},"
                                     "\"elapsed_s\":1.500}");
    buf_clear(&out);
    job.eta_ns = 250 * NS_PER_MS;
    status_write_job(&out, &job);
    cr_assert(strstr(buf_cstr(&out), ",\"eta_s\":0.250,\"elapsed_s\":1.500}"), "%s", out.data);
    buf_release(&out);
}

Test(status, demand_is_what_autoscalers_read)
{
    struct buf out = {0};
    struct status now = {.queued_items = 1, .in_flight_items = 2, .demand_slots = 3, .slots = 4};
    status_write_demand(&out, &now);
    cr_assert_str_eq(buf_cstr(&out), "{\"queued\":1,\"in_flight\":2,\"demand\":3,\"slots\":4}\n");
    buf_release(&out);
}
