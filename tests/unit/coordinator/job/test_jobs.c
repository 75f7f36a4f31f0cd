/* The set of jobs: when freed memory is returned to the kernel, how a running job learns that its items must not run
 * twice, and walks over the jobs. The functions mallinfo2() and malloc_trim() of the heap are replaced: the test sets
 * how much memory is free, and counts the calls that return it. */
#include <malloc.h>

#include "unit/coordinator/job/job_harness.h"

static size_t heap_free_bytes;
static unsigned trims;

struct mallinfo2 mallinfo2(void)
{
    return (struct mallinfo2){.fordblks = heap_free_bytes};
}

int malloc_trim(size_t pad)
{
    trims++;
    return 1;
}

static void run_a_job(struct stage *s)
{
    struct http_exchange x = {.accept = "application/x-ndjson"};
    stage_post_body(s, &x, "{\"task\":\"echo\",\"items\":[1,2,3]}");
    stage_answer_all(s);
    cr_assert(exchange_pull(&x, 4096));
    exchange_close(&x, HTTP_CLOSED_DONE);
}

Test(jobs, an_idle_coordinator_returns_more_memory_than_one_that_may_get_the_next_job)
{
    struct stage s;
    stage_init(&s);
    stage_add_slots(&s, 4);
    heap_free_bytes = 20 * MIB;
    run_a_job(&s);
    uint64_t now = now_ns();
    jobs_tick(&s.jobs, now);
    cr_assert_eq(trims, 0, "the next job may need the freed memory");
    jobs_tick(&s.jobs, now + 6 * NS_PER_S);
    cr_assert_eq(trims, 1, "no job needs the freed memory");
    jobs_tick(&s.jobs, now + 60 * NS_PER_S);
    cr_assert_eq(trims, 1, "nothing was freed since then");
    stage_over(&s);
}

Test(jobs, a_busy_coordinator_returns_only_much_memory_and_not_often)
{
    struct stage s;
    struct http_exchange running = {0};
    stage_init(&s);
    stage_add_slots(&s, 4);
    heap_free_bytes = 20 * MIB;
    run_a_job(&s);
    stage_post_body(&s, &running, "{\"task\":\"echo\",\"items\":[1]}");
    uint64_t now = now_ns();
    for (unsigned i = 0; i < 60; i++) jobs_tick(&s.jobs, now + i * NS_PER_S);
    cr_assert_eq(trims, 0);
    heap_free_bytes = 100 * MIB;
    for (unsigned i = 60; i < 120; i++) jobs_tick(&s.jobs, now + i * NS_PER_S);
    cr_assert_geq(trims, 10);
    cr_assert_leq(trims, 13);
    exchange_close(&running, HTTP_CLOSED_HANG_UP);
    stage_run(&s);
    stage_over(&s);
}

/* A job may start before a worker has described its task. */
Test(jobs, a_running_job_learns_that_its_items_must_not_run_twice)
{
    static const char tasks[] = "{\"tasks\":[{\"name\":\"echo\",\"idempotent\":false}]}";
    struct stage s;
    struct catalog_worker worker = {0};
    struct http_exchange x = {0};
    stage_init(&s);
    catalog_init(&s.fleet.survey.catalog, false);
    stage_add_slots(&s, 4);
    stage_post_body(&s, &x, "{\"task\":\"echo\",\"items\":[1]}");
    cr_assert_eq(s.out_n, 1);
    cr_assert(catalog_worker_said(&s.fleet.survey.catalog, &worker, tasks, strlen(tasks)));
    jobs_tick(&s.jobs, now_ns());
    struct sched_attempt *a = s.out[0];
    stage_forget(&s, a);
    sched_attempt_ended(a, SCHED_END_LOST, 0, now_ns());
    stage_run(&s);
    cr_assert_eq(stage_job(&s)->state, JOB_ENDED, "the item is to be sent again");
    cr_assert(exchange_pull(&x, 4096));
    exchange_close(&x, HTTP_CLOSED_DONE);
    stage_over(&s);
}

Test(jobs, a_walk_goes_on_while_jobs_come_and_go)
{
    enum { JOBS = 5 };
    struct stage s;
    struct http_exchange x[JOBS + 1] = {0};
    struct jobs_cursor walk = {0}, other;
    struct job *j[JOBS];
    stage_init(&s);
    jobs_walk_end(&walk); /* a zeroed cursor is at the end */
    for (int i = JOBS - 1; i >= 0; i--) {
        stage_post_body(&s, &x[i], "{\"task\":\"echo\",\"items\":[1]}");
        j[i] = stage_job(&s); /* j[0] is the newest job at the end */
    }
    jobs_walk_begin(&walk, &s.jobs);
    jobs_walk_begin(&other, &s.jobs);
    cr_assert_eq(jobs_walk_next(&walk), j[0]);
    stage_post_body(&s, &x[JOBS], "{\"task\":\"echo\",\"items\":[1]}");
    exchange_close(&x[0], HTTP_CLOSED_HANG_UP);
    exchange_close(&x[1], HTTP_CLOSED_HANG_UP);
    exchange_close(&x[2], HTTP_CLOSED_HANG_UP);
    stage_run(&s);
    cr_assert_eq(jobs_walk_next(&walk), j[3]);
    cr_assert_eq(jobs_walk_next(&other), j[3]);
    cr_assert_eq(jobs_walk_next(&walk), j[4]);
    exchange_close(&x[4], HTTP_CLOSED_HANG_UP);
    stage_run(&s);
    cr_assert_null(jobs_walk_next(&walk));
    cr_assert_null(jobs_walk_next(&walk));
    cr_assert_null(jobs_walk_next(&other));
    jobs_walk_end(&walk);
    jobs_walk_end(&other);
    exchange_close(&x[3], HTTP_CLOSED_HANG_UP);
    exchange_close(&x[JOBS], HTTP_CLOSED_HANG_UP);
    stage_run(&s);
    stage_over(&s);
}
