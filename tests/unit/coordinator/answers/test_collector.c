/* The collector gives out each answer exactly once, in the chosen order. */
#include "unit/coordinator/answers/collector_harness.h"

Test(collector, nothing_goes_out_before_its_turn)
{
    struct collector *c = collector(COLLECT_INPUT_ORDER, 0, NULL);
    cr_assert_eq(add(c, 5, 5), COLLECTOR_OK);
    cr_assert_eq(drain(c, NULL), 0);
    cr_assert_eq(add(c, 0, 4), COLLECTOR_OK);
    cr_assert_eq(drain(c, NULL), 4);
    cr_assert_eq(add(c, 4, 1), COLLECTOR_OK); /* the item that is missing */
    cr_assert_eq(drain(c, NULL), 6);
    assert_empty_and_free(c);
}

Test(collector, completion_order_gives_what_came_first)
{
    struct collector *c = collector(COLLECT_COMPLETION_ORDER, 0, NULL);
    struct answer_run run;
    enum collector_status status;
    cr_assert_eq(add(c, 5, 2), COLLECTOR_OK);
    cr_assert_eq(add(c, 0, 2), COLLECTOR_OK);
    cr_assert(collector_peek(c, &run, &status));
    cr_assert_eq(run.first, 5);
    cr_assert_eq(drain(c, NULL), 4);
    assert_empty_and_free(c);
}

Test(collector, an_index_is_taken_once)
{
    for (enum collector_order order = COLLECT_INPUT_ORDER; order <= COLLECT_COMPLETION_ORDER; order++) {
        struct collector *c = collector(order, 0, NULL);
        cr_assert_eq(add(c, 10, 5), COLLECTOR_OK);
        cr_assert_eq(add(c, 0, 3), COLLECTOR_OK);
        cr_assert_eq(add(c, 12, 1), COLLECTOR_DUPLICATE);
        cr_assert_eq(add(c, 8, 3), COLLECTOR_DUPLICATE);
        cr_assert_eq(add(c, 14, 2), COLLECTOR_DUPLICATE);
        bool in_order = order == COLLECT_INPUT_ORDER;
        cr_assert_eq(drain(c, NULL), in_order ? 3 : 8);
        cr_assert_eq(add(c, 2, 1), COLLECTOR_DUPLICATE);
        cr_assert_eq(add(c, 3, 7), COLLECTOR_OK);
        cr_assert_eq(drain(c, NULL), in_order ? 12 : 7);
        collector_free(c);
    }
    assert_no_leaks();
}

Test(collector, a_run_can_be_consumed_in_pieces_while_it_grows)
{
    struct collector *c = collector(COLLECT_INPUT_ORDER, 0, NULL);
    struct answer_run run;
    enum collector_status status;
    uint64_t next = 0;
    for (uint64_t i = 0; i < 5000; i += 5) {
        cr_assert_eq(add(c, i, 5), COLLECTOR_OK);
        for (int piece = 0; piece < 4; piece++) {
            cr_assert(collector_peek(c, &run, &status));
            cr_assert_eq(run.first, next++);
            size_t len = (size_t)(strchr(run.bytes, '\n') + 1 - run.bytes);
            cr_assert_eq(strtoull(run.bytes, NULL, 10), run.first);
            collector_consume(c, 1, len);
        }
    }
    cr_assert_eq(drain(c, NULL), 1000);
    assert_empty_and_free(c);
}

Test(collector, a_million_equal_errors_cost_one_line)
{
    struct collector *c = collector(COLLECT_INPUT_ORDER, 0, NULL);
    cr_assert_eq(collector_add_repeated(c, 1, 1000000, "cancelled\n", 10), COLLECTOR_OK);
    cr_assert_lt(collector_memory_bytes(c), 4096);
    cr_assert_eq(add(c, 0, 1), COLLECTOR_OK);
    cr_assert_eq(add(c, 1000001, 1), COLLECTOR_OK);
    cr_assert_eq(drain(c, NULL), 1000002);
    assert_empty_and_free(c);
}

/* Adds the answers of chunks in random order and in pieces of random size, and checks what the collector gives out. */
static void shuffle_through(enum collector_order order, size_t cap)
{
    enum { CHUNKS = 200, CHUNK = 100 };
    static unsigned char seen[CHUNKS * CHUNK];
    static struct spill spill;
    unsigned done[CHUNKS] = {0};
    memset(seen, 0, sizeof seen);
    memset(&spill, 0, sizeof spill);
    struct collector *c = collector(order, cap, cap ? &spill : NULL);
    unsigned left = CHUNKS * CHUNK, random = 1;
    uint64_t out = 0;
    while (left > 0) {
        random = random * 1103515245 + 12345;
        unsigned chunk = (random >> 8) % CHUNKS;
        unsigned n = 1 + (random >> 20) % 40;
        if (n > CHUNK - done[chunk]) n = CHUNK - done[chunk];
        if (n == 0) continue;
        cr_assert_eq(add(c, chunk * CHUNK + done[chunk], n), COLLECTOR_OK);
        done[chunk] += n;
        left -= n;
        if (random % 7 == 0)
            out += drain(c, seen);
        else if (random % 2)
            out += take(c, seen, 1 + (random >> 12) % 20);
        if (cap && order == COLLECT_INPUT_ORDER)
            /* The limit allows 150 bytes for each of 1,000 spilled runs of items, in addition to the cap. */
            cr_assert_leq(collector_memory_bytes(c), cap + 150 * 1000);
    }
    if (cap && order == COLLECT_INPUT_ORDER) cr_assert_gt(spill.writes, 0);
    cr_assert_eq(out + drain(c, seen), CHUNKS * CHUNK);
    assert_empty_and_free(c);
}

Test(collector, every_item_goes_out_once_whatever_the_order_of_coming)
{
    shuffle_through(COLLECT_INPUT_ORDER, 0);
    shuffle_through(COLLECT_COMPLETION_ORDER, 0);
}

Test(collector, beyond_the_cap_the_newest_are_spilled_and_come_back_in_their_turn)
{
    shuffle_through(COLLECT_INPUT_ORDER, 20000);
    shuffle_through(COLLECT_COMPLETION_ORDER, 20000);
}

Test(collector, a_hundred_thousand_scattered_runs_are_held)
{
    struct collector *c = collector(COLLECT_INPUT_ORDER, 0, NULL);
    unsigned char *seen = calloc(200000, 1);
    for (uint64_t i = 0; i < 100000; i++) cr_assert_eq(add(c, (i * 77777 % 100000) * 2 + 1, 1), COLLECTOR_OK);
    for (uint64_t i = 0; i < 100000; i++) cr_assert_eq(add(c, (i * 33331 % 100000) * 2, 1), COLLECTOR_OK);
    cr_assert_eq(drain(c, seen), 200000);
    free(seen);
    assert_empty_and_free(c);
}
