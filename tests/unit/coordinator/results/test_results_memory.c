/* The stream of a large job: how much memory it needs, and how often it reads a block. */
#include "unit/coordinator/results/results_harness.h"

Test(results_memory, a_large_job_is_read_with_little_memory_and_each_block_about_once)
{
    enum { BLOCKS = 200, LINES = 500 };
    struct desk d;
    size_t most = 0;
    struct fake_job *j = desk_with_job(&d, STORED_SUCCEEDED, BLOCKS * LINES);
    /* The blocks look like those of two workers: the items of neighbouring blocks alternate in pieces of 50. */
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

/* The blocks look like those of workers with four slots: each block has a piece of each of four chunks. So a reader
 * that sends the items in order needs each block four times. Not all blocks fit into the memory of a reader. */
Test(results_memory, blocks_that_are_needed_again_soon_are_kept)
{
    enum { BLOCKS = 12, CHUNKS = 4, PIECE = 256, ITEMS = BLOCKS * CHUNKS * PIECE };
    struct desk d;
    bool ended = false;
    struct fake_job *j = desk_with_job(&d, STORED_SUCCEEDED, ITEMS);
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

/* If there are too many ranges, the index of the reader forgets the highest items. To send these items, the reader
 * reads all ranges again. */
Test(results_memory, a_job_with_more_ranges_than_the_index_may_have_is_read_whole)
{
    enum { ITEMS = 250000 };
    struct desk d;
    uint64_t next = 0;
    bool ended = false;
    struct fake_job *j = desk_with_job(&d, STORED_PARTIAL, ITEMS);
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

Test(results_memory, a_client_that_stops_reading_holds_no_blocks_for_long)
{
    struct desk d;
    struct fake_job *j = desk_with_job(&d, STORED_SUCCEEDED, 1000);
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
