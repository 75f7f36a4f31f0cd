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
    struct catalog catalog;
    struct status_source from = {s, &jobs, &catalog};
    struct sched_job_params params;
    catalog_init(&catalog, false);
    sched_job_params_init(&params);
    sched_job_offer(sched_job_add(s, &params, 1), 40, 400);
    scheduler_run(s, 1);
    sched_endpoint_add(s, NULL, false, 4, 1);

    struct status now = status_now(&from);
    cr_assert_eq(now.jobs_running, 3);
    cr_assert_eq(now.demand.queued_items, 40);
    cr_assert_eq(now.demand.demand_slots, 40);
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
    catalog_release(&catalog);
    scheduler_free(s);
}

static void add_job(struct scheduler *s, const char *task, uint64_t items)
{
    struct sched_job_params params;
    sched_job_params_init(&params);
    params.task = task;
    sched_job_offer(sched_job_add(s, &params, 1), items, items);
}

Test(status, the_demand_of_a_task_counts_its_jobs_and_those_of_its_pipelines)
{
    static const char said[] = "{\"tasks\":[{\"name\":\"a\",\"slots\":3},{\"name\":\"ab\",\"slots\":2}]}";
    struct scheduler *s = new_scheduler();
    unsigned jobs = 2;
    struct catalog catalog;
    struct catalog_worker worker = {0};
    struct status_demand d;
    struct status_source from = {s, &jobs, &catalog};
    catalog_init(&catalog, false);
    cr_assert(catalog_worker_said(&catalog, &worker, said, strlen(said)));
    cr_assert(status_of_task(&from, "a", &d));
    cr_assert(d.queued_items == 0 && d.in_flight_items == 0 && d.demand_slots == 0 && d.slots == 3);
    add_job(s, "a", 7);
    add_job(s, "b,a", 5);
    scheduler_run(s, 1);
    cr_assert(status_of_task(&from, "a", &d));
    cr_assert_eq(d.queued_items, 12);
    cr_assert_eq(d.demand_slots, 12);
    cr_assert(status_of_task(&from, "b", &d), "no worker has the task, but a job names it");
    cr_assert_eq(d.queued_items, 5);
    cr_assert(status_of_task(&from, "ab", &d));
    cr_assert_eq(d.queued_items, 0);
    cr_assert_not(status_of_task(&from, "c", &d));
    cr_assert_not(status_of_task(&from, "", &d));

    struct buf text = {0};
    status_register_metrics(&from);
    cr_assert(metrics_render(&text));
    cr_assert(strstr(buf_cstr(&text), "\nfantail_task_queued_items{task=\"a\"} 12\n"), "%s", text.data);
    cr_assert(strstr(text.data, "\nfantail_task_demand_slots{task=\"ab\"} 0\n"), "%s", text.data);
    cr_assert(strstr(text.data, "\nfantail_task_slots{task=\"ab\"} 2\n"), "%s", text.data);
    cr_assert_not(strstr(text.data, "task=\"b\""), "a job adds no series");
    buf_release(&text);
    metrics_release();
    catalog_worker_left(&catalog, &worker, 1);
    catalog_release(&catalog);
    scheduler_free(s);
}

Test(status, a_job_is_written_with_its_escaped_task_and_without_an_unknown_end)
{
    struct buf out = {0};
    static char task[] = "a\"b", *tasks[] = {task};
    struct status_job job = {
        .id = "7", .state = "pending", .tasks = tasks, .task_count = 1, .elapsed_ns = 1500 * NS_PER_MS};
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
    struct status_demand now = {.queued_items = 1, .in_flight_items = 2, .demand_slots = 3, .slots = 4};
    status_write_demand(&out, &now);
    cr_assert_str_eq(buf_cstr(&out), "{\"queued\":1,\"in_flight\":2,\"demand\":3,\"slots\":4}\n");
    buf_release(&out);
}
