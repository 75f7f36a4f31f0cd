/* The results of an ended job, in the form of the answer to a synchronous job: one document, or lines if the client
 * asks for lines. */
#include "coordinator/durable/stored_options.h"
#include "unit/coordinator/results/results_harness.h"

static void assert_document(struct desk *d, const char *head, const char *middle)
{
    const char *text = answer(d), *at = strstr(text, "\"results\":");
    cr_assert_eq(strncmp(text, head, strlen(head)), 0, "%.400s", text);
    cr_assert_not_null(at, "%.400s", text);
    cr_assert_eq(strncmp(at, middle, strlen(middle)), 0, "%.800s", at);
    at += strlen(middle);
    cr_assert_eq(strncmp(at, ",\"stats\":{\"elapsed_s\":", 22), 0, "%.100s", at);
    cr_assert_str_eq(at + strlen(at) - 3, "}}\n");
}

#define HEAD(status) "{\"id\":\"" ID "\",\"status\":\"" status "\","

static struct fake_job *add_mixed(struct desk *d)
{
    struct fake_job *j = add_job(d, STORED_PARTIAL, 5);
    fake_store_add_lines(d->store, j, BLOCK_VALUES, 3, 1, VALUE);
    fake_store_add_lines(d->store, j, BLOCK_ERRORS, 1, 2, ERROR);
    fake_store_add_lines(d->store, j, BLOCK_ERRORS, 4, 1, ERROR);
    fake_store_add_lines(d->store, j, BLOCK_VALUES, 0, 1, VALUE);
    return j;
}

static const char mixed[] = "\"results\":[0,null,null,3,null],\"errors\":["
                            "{\"index\":1,\"error\":{\"name\":\"task_error\"}},"
                            "{\"index\":2,\"error\":{\"name\":\"task_error\"}},"
                            "{\"index\":4,\"error\":{\"name\":\"task_error\"}}]";

Test(results_document, values_and_errors_are_in_one_document_whatever_the_size_of_its_pieces)
{
    for (size_t cap = 1; cap < 4096; cap = cap * 2 + 1) {
        struct desk d;
        desk_init(&d);
        add_mixed(&d);
        results_reader_answer(&d.x, &d.watches, ID, NULL, LIKE_NOTHING);
        while (!settle_one(&d, &d.x, cap)) continue;
        cr_assert_eq(d.x.status, 200);
        cr_assert_str_eq(d.x.job, ID);
        assert_document(&d, HEAD("partial") "\"counts\":{\"total\":5,\"succeeded\":2,\"failed\":3,", mixed);
        desk_over(&d);
    }
}

/* Starts a reader with a call that has read the whole job. */
static void answer_whole(struct desk *d)
{
    struct store_call *read = store_call_new(STORE_READ_JOB, NULL, NULL);
    struct fake_job *j = d->store->jobs[0];
    stored_job_copy(&read->found, &j->job);
    read->blocks = xcalloc(j->block_count, sizeof *read->blocks);
    for (; read->block_count < j->block_count; read->block_count++) {
        struct block *to = &read->blocks[read->block_count], *from = &j->blocks[read->block_count];
        *to = (struct block){.number = from->number, .kind = from->kind, .range_count = from->range_count};
        to->ranges = xcalloc(from->range_count, sizeof *to->ranges);
        memcpy(to->ranges, from->ranges, from->range_count * sizeof *to->ranges);
        buf_add(&to->lines, from->lines.data, from->lines.len);
    }
    read->whole = true;
    results_reader_answer(&d->x, &d->watches, ID, read, LIKE_NOTHING);
    store_call_free(read);
}

Test(results_document, a_job_that_was_read_as_a_whole_is_not_read_again)
{
    struct desk d;
    struct fake_job *j = desk_with_job(&d, STORED_SUCCEEDED, 3);
    fake_store_add_lines(d.store, j, BLOCK_ITEMS, 0, 3, "%u");
    fake_store_add_lines(d.store, j, BLOCK_VALUES, 1, 2, VALUE);
    fake_store_add_lines(d.store, j, BLOCK_VALUES, 0, 1, VALUE);
    answer_whole(&d);
    cr_assert(settle(&d));
    assert_document(&d, HEAD("succeeded"), "\"results\":[0,1,2],\"errors\":[]");
    cr_assert_eq(d.store->calls[STORE_READ_JOB] + d.store->calls[STORE_READ_RANGES], 0);
    desk_over(&d);
}

Test(results_document, the_errors_of_a_job_that_was_read_as_a_whole_follow_its_values)
{
    struct desk d;
    desk_init(&d);
    add_mixed(&d);
    answer_whole(&d);
    while (!settle_one(&d, &d.x, 64)) continue;
    assert_document(&d, HEAD("partial"), mixed);
    desk_over(&d);
}

Test(results_document, without_errors_the_answers_are_read_once)
{
    struct desk d;
    struct fake_job *j = desk_with_job(&d, STORED_SUCCEEDED, 2);
    fake_store_add_lines(d.store, j, BLOCK_VALUES, 0, 2, VALUE);
    results_reader_answer(&d.x, &d.watches, ID, NULL, LIKE_NOTHING);
    cr_assert(settle(&d));
    assert_document(&d, HEAD("succeeded"), "\"results\":[0,1],\"errors\":[]");
    cr_assert_eq(d.store->calls[STORE_READ_BLOCK], 1);
    desk_over(&d);
}

Test(results_document, runs_of_errors_are_null_for_each_item_and_one_error)
{
    struct desk d;
    struct fake_job *j = desk_with_job(&d, STORED_FAILED, 3);
    struct block b = {.kind = BLOCK_ERRORS, .range_count = 1};
    b.ranges = xcalloc(1, sizeof *b.ranges);
    b.ranges[0] = (struct block_range){.first = 0, .n = 3, .repeated = true};
    buf_add_str(&b.lines, ERROR "\n");
    fake_store_add_block(d.store, j, &b);
    j->job.counts.failed = 3;
    fake_store_set_options(j, OPTIONS_RUNS);
    j->job.reason = xstrdup("too many failed");
    results_reader_answer(&d.x, &d.watches, ID, NULL, LIKE_NOTHING);
    cr_assert(settle(&d));
    assert_document(&d, HEAD("failed") "\"reason\":\"too many failed\",",
                    "\"results\":[null,null,null],\"errors\":[{\"index\":0,\"count\":3,\"error\":{\"name\":"
                    "\"task_error\"}}]");
    desk_over(&d);
}

Test(results_document, equal_errors_that_were_recorded_singly_are_one_error)
{
    struct desk d;
    struct fake_job *j = desk_with_job(&d, STORED_PARTIAL, 3);
    struct block b = {.kind = BLOCK_ERRORS, .range_count = 1};
    b.ranges = xcalloc(1, sizeof *b.ranges);
    b.ranges[0] = (struct block_range){.first = 0, .n = 3};
    buf_add_str(&b.lines, ERROR "\n" ERROR "\n" ERROR "\n");
    fake_store_add_block(d.store, j, &b);
    j->job.counts.failed = 3;
    fake_store_set_options(j, OPTIONS_RUNS);
    results_reader_answer(&d.x, &d.watches, ID, NULL, LIKE_NOTHING);
    cr_assert(settle(&d));
    assert_document(&d, HEAD("partial"),
                    "\"results\":[null,null,null],\"errors\":[{\"index\":0,\"count\":3,\"error\":{\"name\":"
                    "\"task_error\"}}]");
    desk_over(&d);
}

Test(results_document, items_of_a_job_that_ended_before_it_ran_are_cancelled)
{
    struct desk d;
    struct fake_job *j = desk_with_job(&d, STORED_CANCELLED, 1);
    j->job.counts.cancelled = 1;
    results_reader_answer(&d.x, &d.watches, ID, NULL, LIKE_NOTHING);
    cr_assert(settle(&d));
    cr_assert(strstr(answer(&d), "\"results\":[null],\"errors\":[{\"index\":0,\"error\":{\"name\":\"cancelled\""));
    desk_over(&d);
}

Test(results_document, a_client_that_asks_for_lines_gets_lines)
{
    struct desk d;
    desk_init(&d);
    d.x.accept = "application/x-ndjson";
    add_mixed(&d);
    results_reader_answer(&d.x, &d.watches, ID, NULL, LIKE_NOTHING);
    cr_assert(settle(&d));
    cr_assert(strstr(answer(&d), "{\"type\":\"error\",\"index\":4,"));
    cr_assert(strstr(answer(&d), "{\"type\":\"end\","));
    desk_over(&d);
}

/* After a part of a document has been sent, the document cannot be corrected. So if the job is removed or
 * redriven meanwhile, the answer is cut off. */
Test(results_document, a_job_that_is_removed_or_redriven_meanwhile_cuts_the_document)
{
    for (unsigned redriven = 0; redriven < 2; redriven++) {
        struct desk d;
        desk_init(&d);
        struct fake_job *j = add_mixed(&d);
        results_reader_answer(&d.x, &d.watches, ID, NULL, LIKE_NOTHING);
        cr_assert(fake_store_step(d.store));
        cr_assert_eq(d.x.status, 200);
        if (redriven) {
            j->job.redrives++;
            j->job.state = STORED_PENDING;
        } else {
            fake_store_fail(d.store, STORE_READ_RANGES, STORE_NOT_FOUND, 1);
        }
        while (fake_store_step(d.store)) continue;
        cr_assert_eq(reader_of(&d)->state, STREAM_CUT);
        char piece[64];
        ssize_t n;
        while ((n = d.x.ops->pull(&d.x, piece, sizeof piece)) > 0) continue;
        cr_assert_eq(n, HTTP_PULL_ABORT);
        desk_over(&d);
    }
}

Test(results_document, white_space_shows_that_the_connection_is_alive)
{
    struct desk d;
    desk_init(&d);
    add_mixed(&d);
    d.store->away = false;
    results_reader_answer(&d.x, &d.watches, ID, NULL, LIKE_NOTHING);
    cr_assert(fake_store_step(d.store));
    d.store->away = true;
    settle(&d);
    tick(&d, 16 * NS_PER_S);
    settle(&d);
    cr_assert_str_eq(answer(&d) + d.x.answer.len - 1, "\n");
    d.store->away = false;
    for (unsigned i = 0; i < 10 && !settle(&d); i++) tick(&d, (20 + i) * NS_PER_S);
    cr_assert(strstr(answer(&d), "null,3,null],\"errors\":["), "%s", answer(&d));
    cr_assert_str_eq(answer(&d) + d.x.answer.len - 3, "}}\n");
    desk_over(&d);
}
