/* Jobs as a coordinator describes them, and the exit statuses that follow from them. */
#include <criterion/criterion.h>

#include "cli/base/exit_status.h"
#include "cli/remote/remote_job.h"

static const char whole[] =
    "\n{\"id\":\"0195f2c4-1a2b-7000-8000-000000000001\",\"status\":\"partial\",\"task\":\"square\",\"counts\":{"
    "\"total\":9,"
    "\"succeeded\":4,\"failed\":3,\"cancelled\":2,\"retried\":7},\"eta_s\":1.5,\"elapsed_s\":2,\"durable\":true,"
    "\"labels\":[\"a\"],\"errors\":{\"crashed\":3},\"reason\":null,\"redrive_count\":5,"
    "\"created_at\":\"2026-11-29T03:00:00.250Z\",\"started_at\":null,\"ended_at\":\"1970-01-01T00:00:01Z\",\"news\":[{}"
    "]}\n";

Test(remote_job, every_member_is_read_and_unknown_ones_are_ignored)
{
    struct remote_job j;
    cr_assert(remote_job_read(&j, whole, sizeof whole - 1));
    cr_assert_str_eq(j.id, "0195f2c4-1a2b-7000-8000-000000000001");
    cr_assert_eq(j.status, REMOTE_PARTIAL);
    cr_assert(j.durable);
    cr_assert_eq(j.total, 9);
    cr_assert_eq(remote_job_done(&j), 7, "cancelled items are not done");
    cr_assert_eq(j.cancelled, 2);
    cr_assert_eq(j.failed, 3);
    cr_assert_eq(j.redrives, 5);
    cr_assert_eq(j.eta_s, 1.5);
    cr_assert_eq(j.created_ms, INT64_C(1795921200250));
    cr_assert_eq(j.started_ms, 0);
    cr_assert_eq(j.ended_ms, 1000);
    cr_assert_eq(j.reason.len, 0);
    cr_assert_eq(j.labels.len, 5);
    cr_assert_eq(j.text.data[0], '{');
    cr_assert_eq(j.text.data[j.text.len - 1], '}');
}

Test(remote_job, a_job_of_a_connected_client_is_not_durable_and_has_no_times)
{
    static const char text[] = "{\"id\":\"0195\",\"status\":\"running\",\"task\":\"a,b\",\"counts\":{\"total\":1}}";
    struct remote_job j;
    cr_assert(remote_job_read(&j, text, sizeof text - 1));
    cr_assert(!j.durable);
    cr_assert_eq(j.created_ms, 0);
    cr_assert_eq(j.eta_s, -1);
    cr_assert(!remote_job_has_ended(&j));
}

Test(remote_job, other_texts_are_no_jobs)
{
    static const char *const texts[] = {"",
                                        "[]",
                                        "7",
                                        "{\"id\":\"0195\"}",
                                        "{\"status\":\"running\"}",
                                        "{\"id\":\"0195\",\"status\":\"asleep\"}",
                                        "{\"id\":\"0195\",\"status\":7}",
                                        "{\"id\":7,\"status\":\"running\"}",
                                        "{\"id\":\"0195\",\"status\":\"running\"",
                                        "{\"id\":\"0195f2c4-1a2b-7000-8000-0000000000012\",\"status\":\"running\"}",
                                        "<html>"};
    struct remote_job j;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        cr_assert(!remote_job_read(&j, texts[i], strlen(texts[i])), "%s", texts[i]);
}

Test(remote_job, members_of_wrong_types_do_no_harm)
{
    static const char text[] =
        "{\"id\":\"0195\",\"status\":\"failed\",\"task\":{},\"counts\":[1,2],\"labels\":7,"
        "\"errors\":\"x\",\"created_at\":[],\"ended_at\":\"\",\"eta_s\":\"soon\",\"durable\":{}}";
    struct remote_job j;
    cr_assert(remote_job_read(&j, text, sizeof text - 1));
    cr_assert_eq(j.created_ms, 0);
    cr_assert_eq(j.ended_ms, 0);
    cr_assert_eq(j.total, 0);
}

Test(remote_job, the_exit_status_follows_from_the_status)
{
    static const int statuses[] = {
        [REMOTE_PENDING] = EXIT_NOT_ENDED,    [REMOTE_RUNNING] = EXIT_NOT_ENDED, [REMOTE_SUCCEEDED] = EXIT_OK,
        [REMOTE_PARTIAL] = EXIT_ITEMS_FAILED, [REMOTE_FAILED] = EXIT_JOB_FAILED, [REMOTE_CANCELLED] = EXIT_JOB_FAILED,
        [REMOTE_TIMED_OUT] = EXIT_JOB_FAILED};
    static_assert(ARRAY_SIZE(statuses) == REMOTE_STATUS_COUNT, "an exit status for each status");
    for (size_t i = 0; i < REMOTE_STATUS_COUNT; i++) {
        struct remote_job j = {.status = (enum remote_status)i};
        cr_assert_eq(remote_job_exit_status(&j), statuses[i], "%s", remote_status_words[i]);
    }
}

Test(remote_job, of_two_exit_statuses_the_worse_one_counts)
{
    static const int from_good_to_bad[] = {EXIT_OK, EXIT_ITEMS_FAILED, EXIT_NOT_ENDED, EXIT_JOB_FAILED, EXIT_USAGE};
    for (size_t a = 0; a < ARRAY_SIZE(from_good_to_bad); a++)
        for (size_t b = 0; b < ARRAY_SIZE(from_good_to_bad); b++)
            cr_assert_eq(remote_job_worse_exit(from_good_to_bad[a], from_good_to_bad[b]),
                         from_good_to_bad[a > b ? a : b]);
}

Test(remote_job, what_is_no_time_is_0)
{
    static const char *const texts[] = {"",
                                        "soon",
                                        "2026-11-29",
                                        "2026-11-29T03:00",
                                        "2026-11-29 03:00:00",
                                        "2026-11-29T03:00:00.000Z and much, much later"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        cr_assert_eq(remote_time_read(texts[i], strlen(texts[i])), 0, "%s", texts[i]);
    cr_assert_eq(remote_time_read("2000-03-01T00:00:00.001Z", 24), INT64_C(951868800001));
}
