/* Streams of stored results when the store is unavailable or broken, and during a drain. */
#include "unit/coordinator/results/results_harness.h"

Test(results_faults, while_the_store_is_away_the_stream_waits_and_then_goes_on)
{
    for (unsigned steps = 1; steps < 6; steps++) {
        struct desk d;
        struct fake_job *j = desk_with_job(&d, STORED_SUCCEEDED, 4);
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

Test(results_faults, a_broken_store_cuts_the_stream)
{
    for (unsigned op = STORE_READ_RANGES; op <= STORE_READ_BLOCK; op++) {
        struct desk d;
        char room[1000];
        struct fake_job *j = desk_with_job(&d, STORED_SUCCEEDED, 2);
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

Test(results_faults, a_block_with_too_few_lines_cuts_the_stream)
{
    struct desk d;
    char room[1000];
    struct fake_job *j = desk_with_job(&d, STORED_SUCCEEDED, 5);
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

Test(results_faults, a_drain_cuts_a_stream_that_waits_and_not_one_that_has_all_answers)
{
    for (unsigned ended = 0; ended < 2; ended++) {
        struct desk d;
        char room[1000];
        struct fake_job *j = desk_with_job(&d, ended ? STORED_SUCCEEDED : STORED_RUNNING, 2);
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
