#include "coordinator/durable/job_document.h"

#include <criterion/criterion.h>

static char task[] = "fetch,parse", labels[] = "[\"night\",\"a\\\"b\"]", errors[] = "{\"task_error\":3}",
            reason[] = "more than 2 \"items\" failed";

static struct stored_job sample(void)
{
    return (struct stored_job){.id = "0195f2c4-0000-7000-8000-000000000001",
                               .state = STORED_PENDING,
                               .task = task,
                               .priority = 5,
                               .items = 10,
                               .created_ms = 1795921200123};
}

static void assert_document(const struct stored_job *job, int64_t now_ms, const struct durable_live *live,
                            const char *want)
{
    struct buf b = {0};
    job_document_write(&b, job, now_ms, live, NULL);
    cr_assert_str_eq(buf_cstr(&b), want);
    buf_release(&b);
}

Test(job_document, a_job_that_waits)
{
    struct stored_job job = sample();
    assert_document(&job, 1795921200999, NULL,
                    "{\"id\":\"0195f2c4-0000-7000-8000-000000000001\",\"status\":\"pending\",\"task\":\"fetch,parse\","
                    "\"counts\":{\"total\":10,\"succeeded\":0,\"failed\":0,\"cancelled\":0,\"retried\":0,\"hedged\":0},"
                    "\"elapsed_s\":0.000,\"durable\":true,\"labels\":[],\"priority\":5,\"errors\":{},\"reason\":null,"
                    "\"redrive_count\":0,\"created_at\":\"2026-11-29T03:00:00.123Z\",\"started_at\":null,"
                    "\"ended_at\":null}");
}

Test(job_document, the_counts_of_a_job_that_runs_here_fit_its_recorded_errors)
{
    struct stored_job job = sample();
    struct durable_live live = {.retried = 1, .eta_ns = 2500000000};
    job.state = STORED_RUNNING;
    job.started_ms = 1795921201000;
    job.counts = (struct stored_counts){.succeeded = 2, .failed = 3};
    job.errors = errors;
    assert_document(&job, 1795921202500, &live,
                    "{\"id\":\"0195f2c4-0000-7000-8000-000000000001\",\"status\":\"running\",\"task\":\"fetch,parse\","
                    "\"counts\":{\"total\":10,\"succeeded\":2,\"failed\":3,\"cancelled\":0,\"retried\":1,\"hedged\":0},"
                    "\"eta_s\":2.500,\"elapsed_s\":1.500,\"durable\":true,\"labels\":[],\"priority\":5,"
                    "\"errors\":{\"task_error\":3},"
                    "\"reason\":null,\"redrive_count\":0,\"created_at\":\"2026-11-29T03:00:00.123Z\","
                    "\"started_at\":\"2026-11-29T03:00:01.000Z\",\"ended_at\":null}");
}

Test(job_document, a_job_that_has_ended_says_why_and_with_which_errors)
{
    struct stored_job job = sample();
    job.state = STORED_FAILED;
    job.labels = labels;
    job.errors = errors;
    job.reason = reason;
    job.redrives = 2;
    job.counts = (struct stored_counts){.succeeded = 5, .failed = 3, .cancelled = 2};
    job.started_ms = 1795921201000;
    job.ended_ms = 1795921205000;
    assert_document(&job, 1799999999999, NULL,
                    "{\"id\":\"0195f2c4-0000-7000-8000-000000000001\",\"status\":\"failed\",\"task\":\"fetch,parse\","
                    "\"counts\":{\"total\":10,\"succeeded\":5,\"failed\":3,\"cancelled\":2,\"retried\":0,\"hedged\":0},"
                    "\"elapsed_s\":4.000,\"durable\":true,\"labels\":[\"night\",\"a\\\"b\"],\"priority\":5,"
                    "\"errors\":{\"task_error\":3},\"reason\":\"more than 2 \\\"items\\\" failed\","
                    "\"redrive_count\":2,\"created_at\":\"2026-11-29T03:00:00.123Z\","
                    "\"started_at\":\"2026-11-29T03:00:01.000Z\",\"ended_at\":\"2026-11-29T03:00:05.000Z\"}");
}

Test(job_document, a_job_that_waits_for_a_worker_says_why)
{
    struct stored_job job = sample();
    struct buf b = {0};
    struct durable_live live = {.waiting = {"no_task", NULL, 3}};
    job_document_write(&b, &job, 1795921202500, &live, NULL);
    cr_assert(strstr(buf_cstr(&b), ",\"waiting\":{\"reason\":\"no_task\"},"), "%s", buf_cstr(&b));
    buf_clear(&b);
    live.waiting = (struct status_waiting){"starting", "an earlier \"refusal\"", 3};
    job_document_write_waiting_line(&b, &live.waiting);
    live.waiting.reason = "no_workers";
    job_document_write_waiting_line(&b, &live.waiting);
    cr_assert_str_eq(buf_cstr(&b),
                     "{\"type\":\"waiting\",\"reason\":\"starting\",\"processes\":3}\n"
                     "{\"type\":\"waiting\",\"reason\":\"no_workers\",\"detail\":\"an earlier \\\"refusal\\\"\"}\n");
    buf_release(&b);
}

static void assert_notify(const struct stored_job *job, const char *want)
{
    struct buf b = {0};
    job_document_write(&b, job, 1795921205000, NULL, NULL);
    cr_assert(strstr(buf_cstr(&b), want), "%s", buf_cstr(&b));
    buf_release(&b);
}

Test(job_document, the_delivery_of_a_notice_does_not_show_the_path_of_its_url)
{
    static char url[] = "https://a.example:8443/hook?key=s3cret", failure[] = "no \"answer\"",
                plain[] = "http://b.example";
    struct stored_job job = sample();
    job.notify = url;
    assert_notify(&job, ",\"notify\":{\"origin\":\"https://a.example:8443\",\"status\":\"pending\",\"attempts\":0,"
                        "\"reason\":null,\"delivered_at\":null},");
    job.state = STORED_PARTIAL;
    job.delivery = (struct stored_delivery){.is_open = true, .attempts = 2, .failure = failure};
    assert_notify(&job,
                  "\"status\":\"pending\",\"attempts\":2,\"reason\":\"no \\\"answer\\\"\",\"delivered_at\":null},");
    job.delivery = (struct stored_delivery){.attempts = 3, .failure = failure, .ended_ms = 1795921201000};
    assert_notify(&job,
                  "\"status\":\"failed\",\"attempts\":3,\"reason\":\"no \\\"answer\\\"\",\"delivered_at\":null},");
    job.notify = plain;
    job.delivery = (struct stored_delivery){.attempts = 1, .ended_ms = 1795921201000};
    assert_notify(&job, "{\"origin\":\"http://b.example\",\"status\":\"delivered\",\"attempts\":1,\"reason\":null,"
                        "\"delivered_at\":\"2026-11-29T03:00:01.000Z\"},");
    job.delivery = (struct stored_delivery){0};
    assert_notify(&job, "\"status\":\"unknown\",\"attempts\":0,");
}

static void assert_end(const struct stored_job *job, bool removed, const char *want)
{
    struct buf b = {0};
    if (removed)
        job_document_write_removed_line(&b, job, 1795921203000);
    else
        job_document_write_end_line(&b, job, 1795921203000, NULL);
    cr_assert_str_eq(buf_cstr(&b), want);
    buf_release(&b);
}

Test(job_document, the_last_line_of_a_stream)
{
    struct stored_job job = sample();
    job.started_ms = 1795921201000;
    assert_end(&job, true,
               "{\"type\":\"end\",\"id\":\"0195f2c4-0000-7000-8000-000000000001\",\"status\":\"removed\","
               "\"reason\":\"the job was removed while its results were read\",\"counts\":{\"total\":10,"
               "\"succeeded\":0,\"failed\":0,\"cancelled\":0,\"retried\":0,\"hedged\":0},"
               "\"stats\":{\"elapsed_s\":2.000000,\"items_per_s\":0.0}}\n");
    job.state = STORED_CANCELLED;
    job.counts = (struct stored_counts){.succeeded = 2, .failed = 1, .cancelled = 7};
    job.ended_ms = 1795921203000;
    assert_end(&job, false,
               "{\"type\":\"end\",\"id\":\"0195f2c4-0000-7000-8000-000000000001\",\"status\":\"cancelled\","
               "\"counts\":{\"total\":10,\"succeeded\":2,\"failed\":1,\"cancelled\":7,\"retried\":0,\"hedged\":0},"
               "\"stats\":{\"elapsed_s\":2.000000,\"items_per_s\":1.5}}\n");
    job.counts = (struct stored_counts){0};
    job.state = STORED_SUCCEEDED;
    job.counts.succeeded = 10;
    job.ended_ms = 1795921205000;
    assert_end(&job, false,
               "{\"type\":\"end\",\"id\":\"0195f2c4-0000-7000-8000-000000000001\",\"status\":\"succeeded\","
               "\"counts\":{\"total\":10,\"succeeded\":10,\"failed\":0,\"cancelled\":0,\"retried\":0,\"hedged\":0},"
               "\"stats\":{\"elapsed_s\":4.000000,\"items_per_s\":2.5}}\n");
}

Test(job_document, a_hint_is_in_the_document_and_in_the_last_line)
{
    struct stored_job job = sample();
    struct buf b = {0};
    job_document_write(&b, &job, 1795921203000, NULL, "say \"x\"");
    cr_assert(strstr(buf_cstr(&b), ",\"reason\":null,\"hint\":\"say \\\"x\\\"\",\"redrive_count\":0,"), "%s",
              buf_cstr(&b));
    buf_clear(&b);
    job.state = STORED_SUCCEEDED;
    job_document_write_end_line(&b, &job, 1795921203000, "x");
    cr_assert(strstr(buf_cstr(&b), "\"status\":\"succeeded\",\"hint\":\"x\",\"counts\":{"), "%s", buf_cstr(&b));
    buf_clear(&b);
    job_document_write_head(&b, &job, false, "x");
    cr_assert(strstr(buf_cstr(&b), "\"status\":\"succeeded\",\"hint\":\"x\",\"counts\":{"), "%s", buf_cstr(&b));
    buf_release(&b);
}
