/* The memory of collectors: their caps, what they share, and a spill that fails. */
#include "common/base/limits.h"
#include "unit/coordinator/answers/collector_harness.h"

Test(collector_memory, completion_order_spills_what_nobody_reads)
{
    static struct spill spill;
    struct collector *c = collector(COLLECT_COMPLETION_ORDER, 100000, &spill);
    for (uint64_t i = 0; i < 300; i++) cr_assert_eq(add(c, i * 1000, 1000), COLLECTOR_OK);
    cr_assert_gt(collector_spilled_bytes(c), 1000000);
    cr_assert_lt(collector_memory_bytes(c), 300000);
    cr_assert_eq(drain(c, NULL), 300000);
    assert_empty_and_free(c);
}

/* Answers of many chunks arrive in turn, a few at a time. */
Test(collector_memory, completion_order_spills_small_runs_too)
{
    static struct spill spill;
    enum { CHUNKS = 50, ITEMS = 4000 };
    struct collector *c = collector(COLLECT_COMPLETION_ORDER, 100000, &spill);
    for (uint64_t i = 0; i < ITEMS; i += 2)
        for (uint64_t chunk = 0; chunk < CHUNKS; chunk++) {
            cr_assert_eq(add(c, chunk * ITEMS + i, 2), COLLECTOR_OK);
            cr_assert_lt(collector_memory_bytes(c), 300000);
        }
    cr_assert_gt(collector_spilled_bytes(c), 1000000);
    cr_assert_eq(drain(c, NULL), CHUNKS * ITEMS);
    assert_empty_and_free(c);
}

/* Every second item fails and is answered later, while the first item is still running. */
Test(collector_memory, runs_are_joined_when_their_gaps_are_filled)
{
    enum { ITEMS = 100000, LATER = 2000 };
    struct collector *c = collector(COLLECT_INPUT_ORDER, 0, NULL);
    for (uint64_t i = 1; i < ITEMS + LATER; i++) {
        if (i < ITEMS && i % 2 == 0) cr_assert_eq(add(c, i, 1), COLLECTOR_OK);
        if (i > LATER && (i - LATER) % 2 == 1) cr_assert_eq(add(c, i - LATER, 1), COLLECTOR_OK);
    }
    /* The lines have 600,000 bytes. With one segment for each line, the collector would need more than 30 MB. */
    cr_assert_lt(collector_memory_bytes(c), 3000000);
    cr_assert_eq(add(c, 0, 1), COLLECTOR_OK);
    cr_assert_eq(drain(c, NULL), ITEMS);
    assert_empty_and_free(c);
}

/* The first item takes a long time. Many chunks are answered in turn, one item at a time, and there is memory for only
 * a few answers. Every 100th item stays unanswered for a while, as if it were tried again. */
Test(collector_memory, small_runs_in_the_spill_are_joined)
{
    enum { CHUNKS = 100, ITEMS = 1000, LATE = 100, LATER = 2 * LATE };
    static struct spill spill;
    static unsigned char seen[CHUNKS * ITEMS];
    struct collector *c = collector(COLLECT_INPUT_ORDER, 20000, &spill);
    for (uint64_t i = 0; i < ITEMS + LATER; i++) {
        for (uint64_t first = 0; first < CHUNKS * ITEMS; first += ITEMS) {
            if (i < ITEMS && i % LATE > 0) cr_assert_eq(add(c, first + i, 1), COLLECTOR_OK);
            if (i >= LATER && i % LATE == 0 && first + i > LATER)
                cr_assert_eq(add(c, first + i - LATER, 1), COLLECTOR_OK);
        }
        /* With one run for each item, the collector would need more than 13 MB. */
        cr_assert_lt(collector_memory_bytes(c), 2000000);
    }
    cr_assert_gt(collector_spilled_bytes(c), 500000);
    cr_assert_eq(add(c, CHUNKS * ITEMS - 1, 1), COLLECTOR_DUPLICATE);
    cr_assert_eq(add(c, 0, 1), COLLECTOR_OK);
    cr_assert_eq(drain(c, seen), CHUNKS * ITEMS);
    assert_empty_and_free(c);
}

/* A job with many small runs gets less memory, because other jobs need the memory. */
Test(collector_memory, one_call_spills_few_runs)
{
    static struct spill spill;
    struct memory_budget shared = {.most = 4 * MIB, .floor = 16 * KIB};
    struct collector *c = collector_new(&(struct collector_config){
        .memory_cap = MIB, .shared = &shared, .spill = {.write = spill_write, .read = spill_read, .ctx = &spill}});
    for (uint64_t i = 1; i < 2000; i++) cr_assert_eq(add(c, 2 * i, 1), COLLECTOR_OK);
    cr_assert_eq(spill.writes, 0);
    memory_budget_count(&shared, 4 * MIB, 0);
    for (uint64_t i = 2000; collector_memory_bytes(c) > MIB / 2; i++) {
        unsigned before = spill.writes;
        cr_assert_eq(add(c, 2 * i, 1), COLLECTOR_OK);
        cr_assert_gt(spill.writes, before);
        cr_assert_lt(spill.writes, before + 1000);
    }
    cr_assert_gt(spill.writes, 1000);
    collector_free(c);
    assert_no_leaks();
}

/* The collector joins runs of the spill. This can fail in the same ways as any other use of the spill. */
Test(collector_memory, runs_that_cannot_be_joined_are_an_error)
{
    static struct spill spill;
    struct collector *c = collector(COLLECT_INPUT_ORDER, 1000, &spill);
    enum collector_status status = COLLECTOR_OK;
    uint64_t added = 0;
    spill.unreadable = true;
    for (uint64_t i = 1; i < 1000 && status == COLLECTOR_OK; i++)
        for (uint64_t chunk = 0; chunk < 10 && status == COLLECTOR_OK; chunk++, added++)
            status = add(c, chunk * 1000 + i, 1);
    cr_assert_eq(status, COLLECTOR_SPILL_FAILED);
    spill.unreadable = false;
    cr_assert_eq(add(c, 0, 1), COLLECTOR_OK);
    cr_assert_eq(drain(c, NULL), 1 + (added + 9) / 10);
    collector_free(c);
    assert_no_leaks();
}

Test(collector_memory, a_collector_with_many_runs_is_freed_in_slices)
{
    static struct spill spill;
    for (enum collector_order order = COLLECT_INPUT_ORDER; order <= COLLECT_COMPLETION_ORDER; order++) {
        struct memory_budget shared = {0};
        struct collector *buried = NULL;
        struct collector *c = collector_new(
            &(struct collector_config){.order = order,
                                       .memory_cap = 100000,
                                       .shared = &shared,
                                       .spill = {.write = spill_write, .read = spill_read, .ctx = &spill}});
        for (uint64_t i = 0; i < 10000; i++) cr_assert_eq(add(c, 2 * i, 1), COLLECTOR_OK);
        collector_bury(&buried, c);
        for (unsigned slices = 1; slices < 5; slices++) {
            cr_assert_neq(buried, NULL);
            collector_free_buried(&buried);
        }
        while (buried) collector_free_buried(&buried);
        cr_assert_eq(shared.used, 0);
    }
    assert_no_leaks();
}

/* Many jobs add a few lines in turn, again and again, while no reader takes answers. Besides its share, each job holds
 * the answers that are next to be read, and the records of the answers in its file. */
static void fill_shared(enum collector_order order)
{
    enum { JOBS = 100, LINES = 8 };
    static char lines[LINES * 1024];
    struct memory_budget shared = {.most = 2 * MIB, .floor = 16 * KIB};
    struct collector *jobs[JOBS];
    struct spill *spills[JOBS];
    memset(lines, 'x', sizeof lines);
    for (unsigned i = 0; i < LINES; i++) lines[(i + 1) * 1024 - 1] = '\n';
    for (unsigned i = 0; i < JOBS; i++) {
        spills[i] = calloc(1, sizeof(struct spill));
        jobs[i] = collector_new(
            &(struct collector_config){.order = order,
                                       .memory_cap = MIB,
                                       .shared = &shared,
                                       .spill = {.write = spill_write, .read = spill_read, .ctx = spills[i]}});
    }
    for (unsigned round = 0; round < 40; round++) {
        for (unsigned i = 0; i < JOBS; i++)
            cr_assert_eq(collector_add(jobs[i], (uint64_t)round * LINES, LINES, lines, sizeof lines), COLLECTOR_OK);
        size_t sum = 0;
        for (unsigned i = 0; i < JOBS; i++) sum += collector_memory_bytes(jobs[i]);
        cr_assert_eq(sum, shared.used);
        cr_assert_leq(sum, shared.most + JOBS * (shared.floor + 16 * KIB), "%zu", sum);
    }
    for (unsigned i = 0; i < JOBS; i++) {
        struct answer_run run;
        enum collector_status status;
        uint64_t n = 0;
        while (collector_peek(jobs[i], &run, &status)) {
            cr_assert_eq(run.first, n);
            cr_assert_eq(run.len, run.n * 1024);
            n += run.n;
            collector_consume(jobs[i], run.n, run.len);
        }
        cr_assert_eq(n, 40 * LINES);
        collector_free(jobs[i]);
        free(spills[i]);
    }
    cr_assert_eq(shared.used, 0);
    assert_no_leaks();
}

Test(collector_memory, jobs_with_slow_readers_share_the_memory_in_input_order)
{
    fill_shared(COLLECT_INPUT_ORDER);
}

Test(collector_memory, jobs_with_slow_readers_share_the_memory_in_completion_order)
{
    fill_shared(COLLECT_COMPLETION_ORDER);
}

Test(collector_memory, a_job_may_hold_what_is_left_and_at_most_its_cap)
{
    struct memory_budget m = {.most = 100, .used = 30, .floor = 20};
    cr_assert_eq(memory_budget_share(NULL, 50), 50);
    cr_assert_eq(memory_budget_share(&m, 50), 50);
    cr_assert_eq(memory_budget_share(&m, 90), 70);
    m.used = 120;
    cr_assert_eq(memory_budget_share(&m, 50), 20);
    cr_assert_eq(memory_budget_share(&m, 10), 10);
    m.most = 0;
    cr_assert_eq(memory_budget_share(&m, 50), 50);
}

Test(collector_memory, a_full_disk_is_an_error_and_nothing_else)
{
    static struct spill spill;
    spill.full = true;
    struct collector *c = collector(COLLECT_INPUT_ORDER, 10000, &spill);
    enum collector_status status = COLLECTOR_OK;
    for (uint64_t i = 1; i < 1000 && status == COLLECTOR_OK; i++) status = add(c, i * 100, 100);
    cr_assert_eq(status, COLLECTOR_SPILL_FAILED);
    collector_free(c);
    assert_no_leaks();
}

Test(collector_memory, a_spill_that_cannot_be_read_is_an_error)
{
    static struct spill spill;
    struct collector *c = collector(COLLECT_INPUT_ORDER, 10000, &spill);
    for (uint64_t i = 1; i < 100; i++) cr_assert_eq(add(c, i * 100, 100), COLLECTOR_OK);
    spill.unreadable = true;
    cr_assert_eq(add(c, 0, 100), COLLECTOR_OK);
    struct answer_run run;
    enum collector_status status;
    while (collector_peek(c, &run, &status)) collector_consume(c, run.n, run.len);
    cr_assert_eq(status, COLLECTOR_SPILL_FAILED);
    collector_free(c);
    assert_no_leaks();
}
