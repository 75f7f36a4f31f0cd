/* The table of jobs, and the facts of one job. */
#include <criterion/criterion.h>

#include "cli/jobs/job_table.h"

#define NOW INT64_C(1795921200000) /* 2026-11-29T03:00:00Z */

static struct remote_job job(const char *text)
{
    struct remote_job j;
    cr_assert(remote_job_read(&j, text, strlen(text)), "%s", text);
    return j;
}

static void assert_text(struct buf *out, const char *wanted)
{
    cr_assert_str_eq(buf_cstr(out), wanted);
    buf_release(out);
}

Test(job_table, columns_are_as_wide_as_their_widest_cell)
{
    struct job_table t = {0};
    struct buf out = {0};
    const struct remote_job jobs[] = {
        job("{\"id\":\"0195f2c4-1a2b-7000-8000-000000000001\",\"status\":\"timed_out\",\"task\":\"a,b\",\"durable\":"
            "true,"
            "\"counts\":{\"total\":1000,\"succeeded\":998,\"failed\":2},\"created_at\":\"2026-11-29T02:59:50.000Z\","
            "\"labels\":[\"x\",\"\\u001by\\n\\u009b\\u00e9\"]}"),
        job("{\"id\":\"0195f2c3-1a2b-7000-8000-000000000001\",\"status\":\"pending\",\"task\":\"square\",\"elapsed_s\":"
            "7300}")};
    job_table_add(&t, &out, jobs, 2, NOW);
    assert_text(&out, "ID             STATUS     TASK    DONE       FAILED  AGE   LABELS\n"
                      "0195f2c4-1a2b  timed_out  a,b     1000/1000  2       10 s  x,?y??\u00e9\n"
                      "0195f2c3-1a2b  pending    square  0/0        0       2 h   (not durable)\n");
}

Test(job_table, a_later_page_has_no_heading_and_keeps_the_widths)
{
    struct job_table t = {0};
    struct buf out = {0};
    const struct remote_job first = job("{\"id\":\"0195f2c4-1a2b-7000-8000-000000000002\",\"status\":\"succeeded\","
                                        "\"task\":\"square\",\"durable\":true}");
    const struct remote_job second =
        job("{\"id\":\"0195f2c4-1a2b-7000-8000-000000000001\",\"status\":\"failed\",\"task\":\"b\",\"durable\":true}");
    job_table_add(&t, &out, &first, 1, NOW);
    buf_clear(&out);
    job_table_add(&t, &out, &second, 1, NOW);
    assert_text(&out, "0195f2c4-1a2b-7000-8000-000000000001  failed     b       0/0   0       0 s\n");
}

Test(job_table, an_empty_list_is_a_heading)
{
    struct job_table t = {0};
    struct buf out = {0};
    job_table_add(&t, &out, NULL, 0, NOW);
    assert_text(&out, "ID  STATUS  TASK  DONE  FAILED  AGE  LABELS\n");
}

Test(job_table, ages_have_the_unit_that_says_most)
{
    static const struct {
        int64_t s;
        const char *text;
    } ages[] = {{-5, "0 s"},   {0, "0 s"},       {119, "119 s"},  {120, "2 min"},    {7199, "119 min"},
                {7200, "2 h"}, {172799, "47 h"}, {172800, "2 d"}, {8640000, "100 d"}};
    for (size_t i = 0; i < ARRAY_SIZE(ages); i++) {
        struct buf out = {0};
        job_age_add(&out, ages[i].s * 1000);
        assert_text(&out, ages[i].text);
    }
}

Test(job_table, only_what_is_known_of_a_job_is_shown)
{
    struct buf out = {0};
    struct remote_job j =
        job("{\"id\":\"0195\",\"status\":\"running\",\"task\":\"square\",\"counts\":{\"total\":9,\"succeeded\":3,"
            "\"failed\":1},\"durable\":true,\"errors\":{\"crashed\":1,\"timed_out\":2},\"eta_s\":12.5,"
            "\"created_at\":\"2026-11-29T02:00:00.000Z\"}");
    job_facts_add(&out, &j, NOW);
    assert_text(&out, "id        0195\nstatus    running\ntask      square\n"
                      "items     4 of 9 done, 1 failed, 0 cancelled\nerrors    crashed 1, timed_out 2\n"
                      "created   2026-11-29 02:00:00 UTC, 60 min ago\nleft      12 s\n");
    j = job("{\"id\":\"0195\",\"status\":\"running\",\"task\":\"square\"}");
    job_facts_add(&out, &j, NOW);
    assert_text(&out,
                "id        0195\nstatus    running\ntask      square\nitems     0 of 0 done, 0 failed, 0 cancelled\n"
                "durable   no: the job ends when its client disconnects\n");
    j = job("{\"id\":\"0195\",\"status\":\"failed\",\"task\":\"a\",\"durable\":true,\"notify\":{\"origin\":"
            "\"https://a.example\",\"status\":\"pending\",\"attempts\":2,\"reason\":\"no answer\"}}");
    job_facts_add(&out, &j, NOW);
    assert_text(&out, "id        0195\nstatus    failed\ntask      a\nitems     0 of 0 done, 0 failed, 0 cancelled\n"
                      "notice    pending, 2 attempts: no answer\n");
}
