/* Which tasks a coordinator offers to run. The offer depends on the slots of the coordinator's workers and on the needs
 * of its jobs. */
#include "coordinator/claims/claim_offer.h"

#include "unit/coordinator/sched/scheduler_harness.h"

struct fleet {
    struct shell sh;
    struct catalog catalog;
    struct catalog_worker worker;
    struct sched_endpoint *endpoint;
};

static void fleet_start(struct fleet *f)
{
    static const char tasks[] = "{\"tasks\":[{\"name\":\"a\",\"slots\":4},{\"name\":\"b\",\"slots\":2}]}";
    const struct sched_endpoint_task has[] = {{"a", 4}, {"b", 2}};
    *f = (struct fleet){0};
    shell_init(&f->sh);
    catalog_init(&f->catalog, false);
    cr_assert(catalog_worker_said(&f->catalog, &f->worker, tasks, strlen(tasks)));
    f->endpoint = worker(&f->sh, 4);
    sched_endpoint_set_tasks(f->sh.s, f->endpoint, has, 2, f->sh.now);
}

static void fleet_over(struct fleet *f)
{
    catalog_release(&f->catalog);
    shell_over(&f->sh);
}

static struct claim_view view(struct fleet *f)
{
    return (struct claim_view){.catalog = &f->catalog, .scheduler = f->sh.s};
}

static struct sched_job *add_job(struct fleet *f, const char *task, uint64_t items)
{
    struct sched_job_params p = params();
    p.task = task;
    struct sched_job *job = job_with(&f->sh, &p, items);
    run(&f->sh);
    return job;
}

static void end_job(struct fleet *f, struct sched_job *job)
{
    sched_job_cancel(job, SCHED_CANCELLED, "enough");
    run(&f->sh);
}

static void expect_offer(struct fleet *f, uint64_t coming, const char *serves, const char *opens)
{
    struct claim_view v = view(f);
    struct buf first = {0}, second = {0};
    v.coming = coming;
    claim_offer_write(&v, &first, &second);
    cr_assert_str_eq(buf_cstr(&first), serves);
    cr_assert_str_eq(buf_cstr(&second), opens);
    buf_release(&first);
    buf_release(&second);
}

Test(claim_offer, slots_are_left_while_the_demand_is_smaller)
{
    cr_assert(claim_leaves_slots(4, 0));
    cr_assert(claim_leaves_slots(4, 3));
    cr_assert_not(claim_leaves_slots(4, 4));
    cr_assert(claim_leaves_slots(0, 0), "at least one slot is there if their number is not known");
    cr_assert_not(claim_leaves_slots(0, 1));
}

Test(claim_offer, a_task_is_open_until_its_slots_are_in_demand)
{
    struct fleet f;
    fleet_start(&f);
    expect_offer(&f, 0, "[\"a\",\"b\"]", "[\"a\",\"b\"]");
    expect_offer(&f, 3, "[\"a\",\"b\"]", "[\"a\"]");
    expect_offer(&f, 4, "[\"a\",\"b\"]", "[]");
    struct sched_job *job = add_job(&f, "b", 100);
    expect_offer(&f, 0, "[\"a\",\"b\"]", "[\"a\"]");
    struct claim_view v = view(&f);
    cr_assert(claim_serves(&v, "b"));
    cr_assert_not(claim_opens(&v, "b"));
    v.leaving = sched_job_demand_slots(job);
    cr_assert(claim_opens(&v, "b"), "the demand of the job itself does not count");
    end_job(&f, job);
    expect_offer(&f, 0, "[\"a\",\"b\"]", "[\"a\",\"b\"]");
    fleet_over(&f);
}

Test(claim_offer, a_pipeline_takes_the_slots_of_its_tasks)
{
    struct fleet f;
    fleet_start(&f);
    struct sched_job *job = add_job(&f, "a,b", 100);
    struct claim_view v = view(&f);
    expect_offer(&f, 0, "[\"a\",\"b\"]", "[]");
    cr_assert(claim_serves(&v, "a,b"));
    cr_assert_not(claim_opens(&v, "a,b"));
    end_job(&f, job);
    cr_assert(claim_opens(&v, "b,a"));
    cr_assert_not(claim_serves(&v, "a,c"));
    fleet_over(&f);
}

Test(claim_offer, a_pipeline_that_names_a_task_twice_takes_its_slots_once)
{
    struct fleet f;
    fleet_start(&f);
    struct sched_job *job = add_job(&f, "b,a,b", 1);
    struct claim_view v = view(&f);
    cr_assert_eq(sched_job_demand_slots(job), 1);
    expect_offer(&f, 0, "[\"a\",\"b\"]", "[\"a\",\"b\"]");
    cr_assert(claim_opens(&v, "b"));
    expect_offer(&f, 1, "[\"a\",\"b\"]", "[\"a\"]");
    end_job(&f, job);
    fleet_over(&f);
}

Test(claim_offer, a_pipeline_whose_tasks_are_on_different_workers_is_an_exception)
{
    struct fleet f;
    fleet_start(&f);
    const struct sched_endpoint_task only_a = {"a", 4}, only_b = {"b", 2};
    struct sched_endpoint *other = worker(&f.sh, 4);
    sched_endpoint_set_tasks(f.sh.s, f.endpoint, &only_a, 1, f.sh.now);
    sched_endpoint_set_tasks(f.sh.s, other, &only_b, 1, f.sh.now);
    struct sched_job *job = add_job(&f, "a,b", 100);
    struct claim_view v = view(&f);
    cr_assert_not(claim_serves(&v, "a,b"));
    cr_assert(claim_serves(&v, "a"));
    end_job(&f, job);
    expect_offer(&f, 0, "[\"a\",\"b\",\"!a,b\"]", "[\"a\",\"b\",\"!a,b\"]");
    fleet_over(&f);
}

Test(claim_offer, a_task_without_an_endpoint_that_can_be_reached_is_not_served)
{
    struct fleet f;
    fleet_start(&f);
    struct sched_job *job = add_job(&f, "a", 1);
    complete_job(&f.sh, job);
    run(&f.sh);
    sched_endpoint_remove(f.sh.s, f.endpoint);
    struct claim_view v = view(&f);
    cr_assert_not(claim_serves(&v, "a"));
    cr_assert_not(claim_serves(&v, "c"), "no worker has described it");
    catalog_worker_left(&f.catalog, &f.worker, f.sh.now);
    expect_offer(&f, 0, "[]", "[]");
    fleet_over(&f);
}
