/* The memory that the uploads of durable jobs may use. */
#include "unit/coordinator/intake/intake_harness.h"

Test(intake_memory, the_memory_of_a_large_body_is_bounded_while_the_store_is_slow)
{
    struct bench b;
    struct http_exchange x = {.prefer = "respond-async", .content_type = "application/x-ndjson", .query_task = "echo"};
    struct buf body = {0};
    uint64_t lines = 0;
    intake_start(&b);
    while (body.len < 30 * 1024 * 1024) {
        buf_add_str(&body, "\"0123456789012345678901234567890123456789\"\n");
        lines++;
    }
    post(&b, &x);
    size_t sent = exchange_send(&x, body.data, body.len);
    cr_assert(sent >= 8 * 1024 * 1024 && sent < 11 * 1024 * 1024, "%zu bytes", sent);
    while (sent < body.len) {
        x.wakes = 0;
        cr_assert(fake_store_step(b.store));
        size_t more = exchange_send(&x, body.data + sent, body.len - sent);
        if (more > 0) cr_assert_gt(x.wakes, 0, "the server was not woken");
        sent += more;
    }
    exchange_end_body(&x);
    fake_store_run(b.store);
    cr_assert_eq(x.status, 202);
    struct fake_job *j = b.store->jobs[0];
    cr_assert_eq(j->job.items, lines);
    cr_assert_geq(j->block_count, 20);
    uint64_t next = 0;
    for (size_t i = 0; i < j->block_count; i++) {
        cr_assert_eq(j->blocks[i].ranges[0].first, next);
        next += j->blocks[i].ranges[0].n;
    }
    cr_assert_eq(next, lines);
    exchange_close(&x, HTTP_CLOSED_DONE);
    buf_release(&body);
    intake_over(&b, 1);
}

/* Sends `bytes` of lines. Returns how many of these bytes were accepted. */
static size_t upload(struct bench *b, struct http_exchange *x, size_t bytes)
{
    *x =
        (struct http_exchange){.prefer = "respond-async", .content_type = "application/x-ndjson", .query_task = "echo"};
    post(b, x);
    return exchange_send_lines(x, bytes);
}

Test(intake_memory, uploads_share_the_memory_for_items_and_go_on)
{
    enum { N = 16 };
    struct bench b;
    struct http_exchange x[N];
    intake_start(&b);
    struct memory_budget *memory = &b.replica.stage.jobs.item_memory;
    memory->most = 4 * MIB;
    for (unsigned i = 0; i < N; i++) {
        upload(&b, &x[i], MIB - 10); /* too few bytes for a whole block, so they stay in memory */
        cr_assert_lt(memory->used, memory->most);
    }
    cr_assert_gt(memory->used, MIB);
    for (unsigned i = 0; i < N; i++) {
        fake_store_run(b.store);
        while (exchange_send(&x[i], "7\n", 2) == 0)
            cr_assert(fake_store_step(b.store), "the upload waits, but no store call is left");
        exchange_end_body(&x[i]);
    }
    fake_store_run(b.store);
    for (unsigned i = 0; i < N; i++) {
        cr_assert_eq(x[i].status, 202);
        exchange_close(&x[i], HTTP_CLOSED_DONE);
    }
    cr_assert_eq(memory->used, 0);
    intake_over(&b, N);
}

Test(intake_memory, an_upload_that_ends_in_any_way_gives_its_memory_back)
{
    struct bench b;
    struct http_exchange x = {0};
    intake_start(&b);
    struct memory_budget *memory = &b.replica.stage.jobs.item_memory;
    upload(&b, &x, 3 * MIB);
    cr_assert_gt(memory->used, 0);
    exchange_close(&x, HTTP_CLOSED_HANG_UP);
    fake_store_run(b.store);
    cr_assert_eq(memory->used, 0);
    upload(&b, &x, MIB / 2);
    exchange_send_text(&x, "no json\n");
    exchange_close(&x, HTTP_CLOSED_DONE);
    fake_store_run(b.store);
    cr_assert_eq(memory->used, 0);
    intake_over(&b, 0);
}

Test(intake_memory, a_long_item_that_does_not_fit_beside_those_of_others_is_refused)
{
    struct bench b;
    struct http_exchange x = {.prefer = "respond-async", .content_type = "application/x-ndjson", .query_task = "echo"};
    struct buf item = {0};
    intake_start(&b);
    b.replica.stage.jobs.item_memory.most = MIB;
    buf_add_char(&item, '"');
    while (item.len < 2 * MIB) buf_add_char(&item, 'x');
    post(&b, &x);
    for (size_t at = 0; at < item.len && !http_exchange_answered(&x);)
        at += exchange_send(&x, item.data + at, item.len - at);
    expect_header(&x, "Retry-After: ");
    expect_problem(&x, 503, "--item-memory-total-bytes");
    buf_release(&item);
    intake_over(&b, 0);
}
