/* The stream of stored results: its lines, its place in the job, jobs that still run, and stores that fail. */
#include "unit/coordinator/results/results_harness.h"

static const char start_line[] = "{\"type\":\"start\",\"id\":\"" ID "\"}\n";

/* Whether the answer is the start line, these lines, and an end line with this status; or no end line (NULL). */
static void assert_stream(struct http_exchange *x, const char *lines, const char *status)
{
    const char *text = buf_cstr(&x->answer);
    cr_assert_eq(strncmp(text, start_line, sizeof start_line - 1), 0, "%.300s", text);
    text += sizeof start_line - 1;
    cr_assert_eq(strncmp(text, lines, strlen(lines)), 0, "%.600s", text);
    text += strlen(lines);
    if (!status) {
        cr_assert_str_eq(text, "");
        return;
    }
    char end[200];
    snprintf(end, sizeof end, "{\"type\":\"end\",\"id\":\"" ID "\",\"status\":\"%s\",", status);
    cr_assert_eq(strncmp(text, end, strlen(end)), 0, "%.300s", text);
    cr_assert(strstr(text, "\"counts\":{\"total\":"));
    cr_assert_eq(strchr(text, '\n')[1], '\0');
}

Test(results_reader, answers_of_many_blocks_are_in_the_order_of_their_items)
{
    struct desk d;
    desk_init(&d);
    struct fake_job *j = add_job(&d, STORED_PARTIAL, 6);
    fake_store_add_lines(d.store, j, BLOCK_VALUES, 4, 2, VALUE);
    fake_store_add_lines(d.store, j, BLOCK_ERRORS, 2, 1, ERROR);
    fake_store_add_lines(d.store, j, BLOCK_VALUES, 3, 1, VALUE);
    fake_store_add_lines(d.store, j, BLOCK_VALUES, 0, 2, VALUE);
    results_reader_handle(&d.x, &d.watches);
    cr_assert(settle(&d));
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
        desk_init(&d);
        struct fake_job *j = add_job(&d, STORED_PARTIAL, 5);
        fake_store_add_lines(d.store, j, BLOCK_VALUES, 0, 3, VALUE);
        fake_store_add_lines(d.store, j, BLOCK_ERRORS, 3, 2, ERROR);
        memcpy(d.x.query, rows[i].query, sizeof rows[i].query);
        results_reader_handle(&d.x, &d.watches);
        cr_assert(settle(&d));
        assert_stream(&d.x, rows[i].lines, "partial");
        desk_over(&d);
    }
}

Test(results_reader, with_only_errors_no_block_of_values_is_read)
{
    struct desk d;
    desk_init(&d);
    struct fake_job *j = add_job(&d, STORED_PARTIAL, 5000);
    for (uint64_t i = 0; i < 2500; i++) {
        fake_store_add_lines(d.store, j, BLOCK_VALUES, 2 * i, 1, VALUE);
        if (i % 1000 == 0) fake_store_add_lines(d.store, j, BLOCK_ERRORS, 2 * i + 1, 1, ERROR);
        if (i % 1000 != 0) fake_store_add_lines(d.store, j, BLOCK_VALUES, 2 * i + 1, 1, VALUE);
    }
    d.x.query[0] = "only";
    d.x.query[1] = "errors";
    results_reader_handle(&d.x, &d.watches);
    cr_assert(settle(&d));
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
        results_reader_handle(&d.x, &d.watches);
        cr_assert(settle(&d));
        cr_assert_eq(d.x.status, rows[i].http);
        desk_over(&d);
    }
}

Test(results_reader, a_job_that_is_being_uploaded_is_not_there)
{
    struct desk d;
    desk_init(&d);
    add_job(&d, STORED_RECEIVING, 1);
    results_reader_handle(&d.x, &d.watches);
    cr_assert(settle(&d));
    cr_assert_eq(d.x.status, 404);
    desk_over(&d);
}

Test(results_reader, one_line_for_many_items_is_sent_for_each_of_them_or_once)
{
    static char each[] = "{\"query\":{\"task\":\"echo\"},\"options\":null,\"have_items\":true,\"idempotent\":null}",
                runs[] = "{\"query\":{\"task\":\"echo\",\"errors\":\"runs\"},\"options\":null,\"have_items\":true,"
                         "\"idempotent\":null}";
    for (unsigned once = 0; once < 2; once++) {
        struct desk d;
        desk_init(&d);
        struct fake_job *j = add_job(&d, STORED_FAILED, 4);
        struct block b = {.kind = BLOCK_ERRORS, .range_count = 2, .ranges = xcalloc(2, sizeof(struct block_range))};
        free(j->job.options);
        j->job.options = xstrdup(once ? runs : each);
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
    desk_init(&d);
    struct fake_job *j = add_job(&d, STORED_CANCELLED, 3);
    fake_store_add_lines(d.store, j, BLOCK_VALUES, 1, 1, VALUE);
    results_reader_handle(&d.x, &d.watches);
    cr_assert(settle(&d));
    cr_assert(strstr(answer(&d), "{\"type\":\"error\",\"index\":0,\"error\":{\"name\":\"cancelled\""));
    cr_assert(strstr(answer(&d), "{\"type\":\"result\",\"index\":1,\"value\":1}\n{\"type\":\"error\",\"index\":2,"));
    cr_assert(strstr(answer(&d), "\"status\":\"cancelled\""));
    desk_over(&d);
}

/* Jobs that run. */

Test(results_reader, a_running_job_is_followed_until_its_end)
{
    struct desk d;
    desk_init(&d);
    struct fake_job *j = add_job(&d, STORED_RUNNING, 3);
    fake_store_add_lines(d.store, j, BLOCK_VALUES, 1, 1, VALUE);
    results_reader_handle(&d.x, &d.watches);
    cr_assert_not(settle(&d));
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

/* If nothing is recorded here, the store is asked less often after a while. */
Test(results_reader, the_store_is_asked_regularly_and_not_all_the_time)
{
    struct desk d;
    desk_init(&d);
    add_job(&d, STORED_RUNNING, 3);
    results_reader_handle(&d.x, &d.watches);
    cr_assert_not(settle(&d));
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
    cr_assert_eq(d.store->calls[STORE_READ_JOB], before + 10, "the gap has not grown");
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
    results_reader_handle(&d.x, &d.watches);
    cr_assert_not(settle(&d));
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
    desk_init(&d);
    struct fake_job *j = add_job(&d, STORED_RUNNING, 2);
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
        desk_init(&d);
        struct fake_job *j = add_job(&d, STORED_SUCCEEDED, 4);
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
    desk_init(&d);
    struct fake_job *j = add_job(&d, STORED_RUNNING, 4);
    fake_store_add_lines(d.store, j, BLOCK_VALUES, 0, 2, VALUE);
    results_reader_handle(&d.x, &d.watches);
    cr_assert_not(settle(&d));
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
    desk_init(&d);
    struct fake_job *j = add_job(&d, STORED_SUCCEEDED, 2);
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

/* The old errors are gone, and the new answers are sent. */
Test(results_reader, a_job_that_is_redriven_meanwhile_is_read_on)
{
    struct desk d;
    desk_init(&d);
    struct fake_job *j = add_job(&d, STORED_PARTIAL, 3);
    fake_store_add_lines(d.store, j, BLOCK_VALUES, 0, 1, VALUE);
    fake_store_add_lines(d.store, j, BLOCK_ERRORS, 1, 2, ERROR);
    results_reader_handle(&d.x, &d.watches);
    while (d.store->calls[STORE_READ_RANGES] == 0) cr_assert(fake_store_step(d.store));
    struct store_call *redrive = store_call_new(STORE_REDRIVE, store_call_free, NULL);
    snprintf(redrive->job.id, sizeof redrive->job.id, ID);
    store_start(&d.store->store, redrive);
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

/* Stores that fail. */

Test(results_reader, while_the_store_is_away_the_stream_waits_and_then_goes_on)
{
    for (unsigned steps = 1; steps < 6; steps++) {
        struct desk d;
        desk_init(&d);
        struct fake_job *j = add_job(&d, STORED_SUCCEEDED, 4);
        fake_store_add_lines(d.store, j, BLOCK_VALUES, 0, 2, VALUE);
        fake_store_add_lines(d.store, j, BLOCK_VALUES, 2, 2, VALUE);
        d.store->page_blocks = 1;
        results_reader_handle(&d.x, &d.watches);
        for (unsigned i = 0; i < steps; i++) {
            fake_store_step(d.store);
            exchange_pull(&d.x, 100);
        }
        d.store->away = true;
        for (unsigned i = 0; i < 3; i++) {
            cr_assert_not(settle(&d), "after %u steps", steps);
            tick(&d, 5 * NS_PER_S);
        }
        tick(&d, 60 * NS_PER_S);
        cr_assert_not(settle(&d));
        cr_assert(strstr(answer(&d), "{\"type\":\"heartbeat\"}\n"));
        d.store->away = false;
        bool ended = false;
        for (unsigned i = 0; i < 50 && !ended; i++) {
            tick(&d, 5 * NS_PER_S);
            if (reader_of(&d)->read_at_ns) reader_of(&d)->read_at_ns = 1;
            ended = settle(&d);
        }
        cr_assert(ended, "after %u steps", steps);
        for (unsigned i = 0; i < 4; i++) {
            char line[60];
            snprintf(line, sizeof line, "\n{\"type\":\"result\",\"index\":%u,\"value\":%u}\n", i, i);
            cr_assert(strstr(answer(&d), line), "%s", answer(&d));
        }
        cr_assert(strstr(answer(&d), "\"status\":\"succeeded\""));
        desk_over(&d);
    }
}

Test(results_reader, a_broken_store_cuts_the_stream)
{
    for (unsigned op = STORE_READ_RANGES; op <= STORE_READ_BLOCK; op++) {
        struct desk d;
        char room[1000];
        desk_init(&d);
        struct fake_job *j = add_job(&d, STORED_SUCCEEDED, 2);
        fake_store_add_lines(d.store, j, BLOCK_VALUES, 0, 2, VALUE);
        fake_store_fail(d.store, (enum store_op)op, STORE_BROKEN, 1);
        results_reader_handle(&d.x, &d.watches);
        ssize_t n = 0;
        do {
            while (fake_store_step(d.store)) continue;
            n = d.x.ops->pull(&d.x, room, sizeof room);
        } while (n > 0 || d.store->calls[op] == 0);
        if (n == HTTP_PULL_WAIT) n = d.x.ops->pull(&d.x, room, sizeof room);
        cr_assert_eq(n, HTTP_PULL_ABORT);
        desk_over(&d);
    }
}

Test(results_reader, a_block_with_too_few_lines_cuts_the_stream)
{
    struct desk d;
    char room[1000];
    desk_init(&d);
    struct fake_job *j = add_job(&d, STORED_SUCCEEDED, 5);
    fake_store_add_lines(d.store, j, BLOCK_VALUES, 0, 2, VALUE);
    j->blocks[0].ranges[0].n = 5;
    results_reader_handle(&d.x, &d.watches);
    ssize_t n = 1;
    for (unsigned i = 0; i < 10 && n >= 0; i++) {
        fake_store_run(d.store);
        n = d.x.ops->pull(&d.x, room, sizeof room);
    }
    cr_assert_eq(n, HTTP_PULL_ABORT);
    desk_over(&d);
}

Test(results_reader, a_drain_cuts_a_stream_that_waits_and_not_one_that_has_all_answers)
{
    for (unsigned ended = 0; ended < 2; ended++) {
        struct desk d;
        char room[1000];
        desk_init(&d);
        struct fake_job *j = add_job(&d, ended ? STORED_SUCCEEDED : STORED_RUNNING, 2);
        fake_store_add_lines(d.store, j, BLOCK_VALUES, 0, ended ? 2 : 1, VALUE);
        results_reader_handle(&d.x, &d.watches);
        fake_store_run(d.store);
        if (!ended) cr_assert_not(settle(&d));
        job_watches_drain(&d.watches);
        if (ended)
            cr_assert(settle(&d));
        else
            cr_assert_eq(d.x.ops->pull(&d.x, room, sizeof room), HTTP_PULL_ABORT);
        desk_over(&d);
    }
}

/* Memory. */

Test(results_reader, a_large_job_is_read_with_little_memory_and_each_block_about_once)
{
    enum { BLOCKS = 200, LINES = 500 };
    struct desk d;
    size_t most = 0;
    desk_init(&d);
    struct fake_job *j = add_job(&d, STORED_SUCCEEDED, BLOCKS * LINES);
    /* As two workers would answer: the items of neighbouring blocks alternate in pieces of 50. */
    for (unsigned pair = 0; pair < BLOCKS / 2; pair++) {
        for (unsigned half = 0; half < 2; half++) {
            struct block b = {.kind = BLOCK_VALUES, .ranges = xcalloc(LINES / 50, sizeof(struct block_range))};
            for (unsigned piece = 0; piece < LINES / 50; piece++) {
                uint64_t first = pair * 2 * LINES + piece * 100 + half * 50;
                b.ranges[b.range_count++] = (struct block_range){first, 50, false};
                for (uint64_t i = first; i < first + 50; i++)
                    buf_addf(&b.lines, "{\"value\":\"%0400llu\"}\n", (unsigned long long)i);
            }
            fake_store_add_block(d.store, j, &b);
        }
    }
    results_reader_handle(&d.x, &d.watches);
    bool ended = false;
    uint64_t lines = 0;
    struct buf want = {0};
    while (!ended) {
        ended = exchange_pull(&d.x, 30000);
        fake_store_step(d.store);
        if (reader_of(&d)->cache.bytes > most) most = reader_of(&d)->cache.bytes;
        for (const char *at = buf_cstr(&d.x.answer), *end; (end = strchr(at, '\n')); at = end + 1) {
            if (strncmp(at, "{\"type\":\"result\"", 16) != 0) continue;
            buf_clear(&want);
            buf_addf(&want, "{\"type\":\"result\",\"index\":%llu,\"value\":\"%0400llu\"}\n", (unsigned long long)lines,
                     (unsigned long long)lines);
            cr_assert_eq(strncmp(at, want.data, want.len), 0, "line %llu is %.80s", (unsigned long long)lines, at);
            lines++;
        }
        const char *last = memrchr(d.x.answer.data, '\n', d.x.answer.len);
        if (last) buf_drop_front(&d.x.answer, (size_t)(last + 1 - d.x.answer.data));
    }
    buf_release(&want);
    cr_assert_eq(lines, BLOCKS * LINES);
    cr_assert_leq(most, 17 * 1024 * 1024);
    cr_assert_leq(d.store->calls[STORE_READ_BLOCK], BLOCKS);
    desk_over(&d);
}

/* As workers with four slots would answer: each block has a piece of each of four chunks, and not all blocks fit into
 * the memory of a reader. So the client needs each block four times. */
Test(results_reader, blocks_that_are_needed_again_soon_are_kept)
{
    enum { BLOCKS = 12, CHUNKS = 4, PIECE = 256, ITEMS = BLOCKS * CHUNKS * PIECE };
    struct desk d;
    bool ended = false;
    desk_init(&d);
    struct fake_job *j = add_job(&d, STORED_SUCCEEDED, ITEMS);
    for (unsigned i = 0; i < BLOCKS; i++) {
        struct block b = {.kind = BLOCK_VALUES, .ranges = xcalloc(CHUNKS, sizeof(struct block_range))};
        for (unsigned chunk = 0; chunk < CHUNKS; chunk++)
            b.ranges[b.range_count++] = (struct block_range){(chunk * BLOCKS + i) * PIECE, PIECE, false};
        for (unsigned line = 0; line < CHUNKS * PIECE; line++) buf_addf(&b.lines, "{\"value\":%02000u}\n", line);
        fake_store_add_block(d.store, j, &b);
    }
    results_reader_handle(&d.x, &d.watches);
    while (!ended) {
        ended = exchange_pull(&d.x, 100000);
        fake_store_step(d.store);
        buf_clear(&d.x.answer);
    }
    cr_assert_leq(d.store->calls[STORE_READ_BLOCK], BLOCKS + (CHUNKS - 1) * (BLOCKS - 5));
    desk_over(&d);
}

/* The index of the reader forgets the highest items, and all ranges are read again for them. */
Test(results_reader, a_job_with_more_ranges_than_the_index_may_have_is_read_whole)
{
    enum { ITEMS = 250000 };
    struct desk d;
    uint64_t next = 0;
    bool ended = false;
    desk_init(&d);
    struct fake_job *j = add_job(&d, STORED_PARTIAL, ITEMS);
    for (unsigned odd = 0; odd < 2; odd++) {
        struct block b = {.kind = odd ? BLOCK_ERRORS : BLOCK_VALUES, .range_count = ITEMS / 2};
        b.ranges = xcalloc(ITEMS / 2, sizeof *b.ranges);
        for (unsigned i = 0; i < ITEMS / 2; i++) {
            b.ranges[i] = (struct block_range){2 * i + odd, 1, false};
            buf_addf(&b.lines, odd ? "{\"error\":%u}\n" : "{\"value\":%u}\n", 2 * i + odd);
        }
        fake_store_add_block(d.store, j, &b);
    }
    results_reader_handle(&d.x, &d.watches);
    while (!ended) {
        ended = exchange_pull(&d.x, 100000);
        fake_store_step(d.store);
        const char *at = buf_cstr(&d.x.answer), *end;
        for (; (end = strchr(at, '\n')); at = end + 1) {
            char want[80];
            bool odd = next % 2;
            if (strncmp(at, "{\"type\":\"st", 11) == 0 || strncmp(at, "{\"type\":\"end", 12) == 0) continue;
            int len = snprintf(want, sizeof want, "{\"type\":\"%s\",\"index\":%u,\"%s\":%u}\n",
                               odd ? "error" : "result", (unsigned)next, odd ? "error" : "value", (unsigned)next);
            cr_assert_eq(strncmp(at, want, (size_t)len), 0, "line %zu is %.70s", (size_t)next, at);
            next++;
        }
        buf_drop_front(&d.x.answer, (size_t)(at - d.x.answer.data));
    }
    cr_assert_eq(next, ITEMS);
    cr_assert_geq(d.store->calls[STORE_READ_RANGES], 3);
    cr_assert_leq(d.store->calls[STORE_READ_BLOCK], 2);
    desk_over(&d);
}

Test(results_reader, a_client_that_stops_reading_holds_no_blocks_for_long)
{
    struct desk d;
    desk_init(&d);
    struct fake_job *j = add_job(&d, STORED_SUCCEEDED, 1000);
    fake_store_add_lines(d.store, j, BLOCK_VALUES, 0, 1000, VALUE);
    results_reader_handle(&d.x, &d.watches);
    fake_store_run(d.store);
    char room[100];
    while (reader_of(&d)->cache.bytes == 0) {
        cr_assert_geq(d.x.ops->pull(&d.x, room, sizeof room), 0);
        fake_store_run(d.store);
    }
    cr_assert_gt(d.x.ops->pull(&d.x, room, sizeof room), 0);
    tick(&d, 6 * NS_PER_S);
    cr_assert_eq(reader_of(&d)->cache.bytes, 0);
    cr_assert(settle(&d));
    cr_assert(strstr(answer(&d), "{\"type\":\"result\",\"index\":999,\"value\":999}\n"));
    desk_over(&d);
}
