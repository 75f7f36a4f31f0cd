/* The stream of stored results: its lines, where in the job it starts, and jobs that are still running. */
#include "unit/coordinator/results/results_harness.h"

Test(results_reader, answers_of_many_blocks_are_in_the_order_of_their_items)
{
    struct desk d;
    struct fake_job *j = desk_with_job(&d, STORED_PARTIAL, 6);
    fake_store_add_lines(d.store, j, BLOCK_VALUES, 4, 2, VALUE);
    fake_store_add_lines(d.store, j, BLOCK_ERRORS, 2, 1, ERROR);
    fake_store_add_lines(d.store, j, BLOCK_VALUES, 3, 1, VALUE);
    fake_store_add_lines(d.store, j, BLOCK_VALUES, 0, 2, VALUE);
    cr_assert(read_stream(&d));
    assert_stream(&d.x,
                  "{\"type\":\"result\",\"index\":0,\"value\":0}\n{\"type\":\"result\",\"index\":1,\"value\":1}\n"
                  "{\"type\":\"error\",\"index\":2,\"error\":{\"name\":\"task_error\"}}\n"
                  "{\"type\":\"result\",\"index\":3,\"value\":3}\n{\"type\":\"result\",\"index\":4,\"value\":4}\n"
                  "{\"type\":\"result\",\"index\":5,\"value\":5}\n",
                  "partial");
    cr_assert_str_eq(d.x.job, ID);
    desk_over(&d);
}

Test(results_reader, a_client_can_begin_at_any_item_and_take_only_errors_or_only_values)
{
    static const struct {
        const char *query[4], *lines;
    } rows[] = {
        {{"from", "2"},
         "{\"type\":\"result\",\"index\":2,\"value\":2}\n{\"type\":\"error\",\"index\":3,\"error\":{\"name\":"
         "\"task_error\"}}\n{\"type\":\"error\",\"index\":4,\"error\":{\"name\":\"task_error\"}}\n"},
        {{"from", "5"}, ""},
        {{"from", "999999"}, ""},
        {{"only", "values", "from", "1"},
         "{\"type\":\"result\",\"index\":1,\"value\":1}\n{\"type\":\"result\",\"index\":2,\"value\":2}\n"},
        {{"only", "errors", "from", "4"}, "{\"type\":\"error\",\"index\":4,\"error\":{\"name\":\"task_error\"}}\n"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct desk d;
        struct fake_job *j = desk_with_job(&d, STORED_PARTIAL, 5);
        fake_store_add_lines(d.store, j, BLOCK_VALUES, 0, 3, VALUE);
        fake_store_add_lines(d.store, j, BLOCK_ERRORS, 3, 2, ERROR);
        memcpy(d.x.query, rows[i].query, sizeof rows[i].query);
        cr_assert(read_stream(&d));
        assert_stream(&d.x, rows[i].lines, "partial");
        desk_over(&d);
    }
}

Test(results_reader, with_only_errors_no_block_of_values_is_read)
{
    struct desk d;
    struct fake_job *j = desk_with_job(&d, STORED_PARTIAL, 5000);
    for (uint64_t i = 0; i < 2500; i++) {
        fake_store_add_lines(d.store, j, BLOCK_VALUES, 2 * i, 1, VALUE);
        if (i % 1000 == 0) fake_store_add_lines(d.store, j, BLOCK_ERRORS, 2 * i + 1, 1, ERROR);
        if (i % 1000 != 0) fake_store_add_lines(d.store, j, BLOCK_VALUES, 2 * i + 1, 1, VALUE);
    }
    d.x.query[0] = "only";
    d.x.query[1] = "errors";
    cr_assert(read_stream(&d));
    cr_assert_eq(d.store->calls[STORE_READ_BLOCK], 3);
    cr_assert(strstr(answer(&d), "\"index\":4001,"));
    desk_over(&d);
}

Test(results_reader, wrong_queries_are_told_with_their_name)
{
    static const struct {
        const char *query[2], *members;
    } rows[] = {
        {{"from", "-1"}, "\"pointer\":\"/from\""},
        {{"from", ""}, "\"pointer\":\"/from\""},
        {{"from", "1x"}, "\"pointer\":\"/from\""},
        {{"from", "99999999999999999999"}, "\"pointer\":\"/from\""},
        {{"only", "all"}, "\"pointer\":\"/only\""},
        {{"progress_s", "x"}, "\"pointer\":\"/progress_s\""},
        {{"progress_s", "-1"}, "\"pointer\":\"/progress_s\""},
        {{"form", "1"}, ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct desk d;
        desk_init(&d);
        memcpy(d.x.query, rows[i].query, sizeof rows[i].query);
        results_reader_handle(&d.x, &d.watches);
        cr_assert_eq(d.x.status, 400);
        cr_assert_str_eq(buf_cstr(&d.x.members), rows[i].members);
        desk_over(&d);
    }
}

Test(results_reader, what_the_store_says_first_is_the_status_of_the_answer)
{
    static const struct {
        enum store_status store;
        int http;
    } rows[] = {{STORE_NOT_FOUND, 404}, {STORE_AWAY, 503}, {STORE_BROKEN, 500}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct desk d;
        desk_init(&d);
        if (rows[i].store != STORE_NOT_FOUND) add_job(&d, STORED_PENDING, 1);
        fake_store_fail(d.store, STORE_READ_JOB, rows[i].store, 1);
        cr_assert(read_stream(&d));
        cr_assert_eq(d.x.status, rows[i].http);
        desk_over(&d);
    }
}

Test(results_reader, a_job_that_is_being_uploaded_is_not_there)
{
    struct desk d;
    desk_with_job(&d, STORED_RECEIVING, 1);
    cr_assert(read_stream(&d));
    cr_assert_eq(d.x.status, 404);
    desk_over(&d);
}

Test(results_reader, one_line_for_many_items_is_sent_for_each_of_them_or_once)
{
    for (unsigned once = 0; once < 2; once++) {
        struct desk d;
        struct fake_job *j = desk_with_job(&d, STORED_FAILED, 4);
        struct block b = {.kind = BLOCK_ERRORS, .range_count = 2, .ranges = xcalloc(2, sizeof(struct block_range))};
        fake_store_set_options(j, once ? OPTIONS_RUNS : OPTIONS(""));
        b.ranges[0] = (struct block_range){3, 1, false};
        b.ranges[1] = (struct block_range){0, 3, true};
        buf_add_str(&b.lines, "{\"error\":1}\n{\"error\":2}\n");
        fake_store_add_block(d.store, j, &b);
        results_reader_handle(&d.x, &d.watches);
        cr_assert(settle_one(&d, &d.x, 7));
        assert_stream(
            &d.x,
            once ? "{\"type\":\"error\",\"index\":0,\"count\":3,\"error\":2}\n"
                   "{\"type\":\"error\",\"index\":3,\"error\":1}\n"
                 : "{\"type\":\"error\",\"index\":0,\"error\":2}\n{\"type\":\"error\",\"index\":1,\"error\":2}\n"
                   "{\"type\":\"error\",\"index\":2,\"error\":2}\n{\"type\":\"error\",\"index\":3,\"error\":1}\n",
            "failed");
        desk_over(&d);
    }
}

Test(results_reader, items_of_a_job_that_ended_before_it_ran_are_cancelled)
{
    struct desk d;
    struct fake_job *j = desk_with_job(&d, STORED_CANCELLED, 3);
    fake_store_add_lines(d.store, j, BLOCK_VALUES, 1, 1, VALUE);
    cr_assert(read_stream(&d));
    cr_assert(strstr(answer(&d), "{\"type\":\"error\",\"index\":0,\"error\":{\"name\":\"cancelled\""));
    cr_assert(strstr(answer(&d), "{\"type\":\"result\",\"index\":1,\"value\":1}\n{\"type\":\"error\",\"index\":2,"));
    cr_assert(strstr(answer(&d), "\"status\":\"cancelled\""));
    desk_over(&d);
}

/* Jobs that run. */

Test(results_reader, a_running_job_is_followed_until_its_end)
{
    struct desk d;
    struct fake_job *j = desk_with_job(&d, STORED_RUNNING, 3);
    fake_store_add_lines(d.store, j, BLOCK_VALUES, 1, 1, VALUE);
    cr_assert_not(read_stream(&d));
    assert_stream(&d.x, "", NULL);
    fake_store_add_lines(d.store, j, BLOCK_VALUES, 0, 1, VALUE);
    job_watches_poke(&d.watches, "another job");
    cr_assert_not(settle(&d));
    assert_stream(&d.x, "", NULL);
    job_watches_poke(&d.watches, ID);
    cr_assert_not(settle(&d));
    static const char two[] =
        "{\"type\":\"result\",\"index\":0,\"value\":0}\n{\"type\":\"result\",\"index\":1,\"value\":1}\n";
    assert_stream(&d.x, two, NULL);
    fake_store_add_lines(d.store, j, BLOCK_ERRORS, 2, 1, ERROR);
    j->job.state = STORED_PARTIAL;
    j->job.ended_ms = j->job.started_ms + 1000;
    tick(&d, 2 * NS_PER_S);
    cr_assert(settle(&d));
    cr_assert(strstr(answer(&d), "\"index\":2,\"error\""));
    cr_assert(strstr(answer(&d), "\"status\":\"partial\""));
    desk_over(&d);
}

/* If this coordinator records no answers of the job, the reader asks the store about once a second. */
Test(results_reader, the_store_is_asked_regularly_and_not_all_the_time)
{
    struct desk d;
    desk_with_job(&d, STORED_RUNNING, 3);
    cr_assert_not(read_stream(&d));
    unsigned before = d.store->calls[STORE_READ_JOB];
    tick(&d, 100 * NS_PER_MS);
    cr_assert_not(settle(&d));
    cr_assert_eq(d.store->calls[STORE_READ_JOB], before);
    for (unsigned i = 1; i <= 10; i++) {
        tick(&d, 1100 * NS_PER_MS);
        cr_assert_not(settle(&d));
        cr_assert_eq(d.store->calls[STORE_READ_JOB], before + i);
    }
    tick(&d, 900 * NS_PER_MS);
    cr_assert_not(settle(&d));
    cr_assert_eq(d.store->calls[STORE_READ_JOB], before + 10, "the store was asked less than a second ago");
    cr_assert_eq(d.store->calls[STORE_READ_RANGES], 1, "the counts of the job have not changed");
    desk_over(&d);
}

Test(results_reader, a_quiet_stream_gets_heartbeats_and_progress)
{
    struct desk d;
    desk_init(&d);
    d.x.query[0] = "progress_s";
    d.x.query[1] = "20";
    struct fake_job *j = add_job(&d, STORED_RUNNING, 3);
    j->job.counts.succeeded = 1;
    cr_assert_not(read_stream(&d));
    tick(&d, 16 * NS_PER_S);
    tick(&d, 17 * NS_PER_S);
    cr_assert_not(settle(&d));
    assert_stream(&d.x, "{\"type\":\"heartbeat\"}\n", NULL);
    tick(&d, 21 * NS_PER_S);
    cr_assert_not(settle(&d));
    cr_assert(strstr(answer(&d), "{\"type\":\"progress\",\"counts\":{\"total\":3,\"succeeded\":1,"), "%s", answer(&d));
    desk_over(&d);
}

Test(results_reader, several_clients_read_one_job_and_one_of_them_hangs_up)
{
    struct desk d;
    struct http_exchange y = {.id = ID, .query = {"from", "1"}};
    struct fake_job *j = desk_with_job(&d, STORED_RUNNING, 2);
    results_reader_handle(&d.x, &d.watches);
    results_reader_handle(&y, &d.watches);
    fake_store_add_lines(d.store, j, BLOCK_VALUES, 0, 2, VALUE);
    cr_assert_not(settle(&d));
    exchange_close(&d.x, HTTP_CLOSED_HANG_UP);
    j->job.state = STORED_SUCCEEDED;
    job_watches_poke(&d.watches, ID);
    cr_assert(settle_one(&d, &y, 100));
    assert_stream(&y, "{\"type\":\"result\",\"index\":1,\"value\":1}\n", "succeeded");
    exchange_close(&y, HTTP_CLOSED_DONE);
    desk_over(&d);
}

Test(results_reader, a_client_may_hang_up_while_any_call_is_open)
{
    for (unsigned steps = 0; steps < 6; steps++) {
        struct desk d;
        struct fake_job *j = desk_with_job(&d, STORED_SUCCEEDED, 4);
        fake_store_add_lines(d.store, j, BLOCK_VALUES, 0, 2, VALUE);
        fake_store_add_lines(d.store, j, BLOCK_VALUES, 2, 2, VALUE);
        results_reader_handle(&d.x, &d.watches);
        for (unsigned i = 0; i < steps; i++) {
            fake_store_step(d.store);
            exchange_pull(&d.x, 10);
        }
        exchange_close(&d.x, HTTP_CLOSED_HANG_UP);
        desk_over(&d);
    }
}

Test(results_reader, a_job_that_is_removed_meanwhile_gets_an_honest_last_line)
{
    struct desk d;
    struct fake_job *j = desk_with_job(&d, STORED_RUNNING, 4);
    fake_store_add_lines(d.store, j, BLOCK_VALUES, 0, 2, VALUE);
    cr_assert_not(read_stream(&d));
    fake_store_fail(d.store, STORE_READ_JOB, STORE_NOT_FOUND, 1);
    job_watches_poke(&d.watches, ID);
    cr_assert(settle(&d));
    assert_stream(&d.x,
                  "{\"type\":\"result\",\"index\":0,\"value\":0}\n{\"type\":\"result\",\"index\":1,\"value\":1}\n",
                  "removed");
    desk_over(&d);
}

Test(results_reader, a_job_that_is_removed_before_its_blocks_are_read_too)
{
    struct desk d;
    struct fake_job *j = desk_with_job(&d, STORED_SUCCEEDED, 2);
    fake_store_add_lines(d.store, j, BLOCK_VALUES, 0, 2, VALUE);
    results_reader_handle(&d.x, &d.watches);
    while (d.store->calls[STORE_READ_RANGES] == 0) cr_assert(fake_store_step(d.store));
    fake_store_fail(d.store, STORE_READ_BLOCK, STORE_NOT_FOUND, 1);
    while (d.store->calls[STORE_READ_BLOCK] == 0) {
        exchange_pull(&d.x, 100);
        cr_assert(fake_store_step(d.store));
    }
    fake_store_fail(d.store, STORE_READ_JOB, STORE_NOT_FOUND, 1);
    cr_assert(settle(&d));
    assert_stream(&d.x, "", "removed");
    desk_over(&d);
}

/* After the redrive, the old errors are gone, and the new answers are sent. */
Test(results_reader, a_job_that_is_redriven_meanwhile_is_read_on)
{
    struct desk d;
    struct fake_job *j = desk_with_job(&d, STORED_PARTIAL, 3);
    fake_store_add_lines(d.store, j, BLOCK_VALUES, 0, 1, VALUE);
    fake_store_add_lines(d.store, j, BLOCK_ERRORS, 1, 2, ERROR);
    results_reader_handle(&d.x, &d.watches);
    while (d.store->calls[STORE_READ_RANGES] == 0) cr_assert(fake_store_step(d.store));
    store_start(&d.store->store, fake_store_call(STORE_REDRIVE, ID));
    cr_assert_not(settle(&d));
    fake_store_add_lines(d.store, j, BLOCK_VALUES, 1, 2, VALUE);
    j->job.state = STORED_SUCCEEDED;
    job_watches_poke(&d.watches, ID);
    cr_assert(settle(&d));
    assert_stream(&d.x,
                  "{\"type\":\"result\",\"index\":0,\"value\":0}\n{\"type\":\"result\",\"index\":1,\"value\":1}\n"
                  "{\"type\":\"result\",\"index\":2,\"value\":2}\n",
                  "succeeded");
    desk_over(&d);
}

Test(results_reader, errors_of_unanswered_items_beyond_the_limit_are_one_line)
{
    struct desk d;
    struct fake_job *j = desk_with_job(&d, STORED_CANCELLED, 1000000000000);
    j->job.counts.cancelled = j->job.items;
    d.watches.max_unanswered_errors = 2;
    cr_assert(read_stream(&d));
    const char *text = answer(&d);
    cr_assert(strstr(text, "{\"type\":\"error\",\"index\":1,\"error\":{\"name\":\"cancelled\","));
    cr_assert(
        strstr(text, "{\"type\":\"error\",\"index\":2,\"count\":999999999998,\"error\":{\"name\":\"cancelled\","));
    cr_assert(strstr(text, "\"sent\":false}}\n{\"type\":\"end\","));
    desk_over(&d);
}
