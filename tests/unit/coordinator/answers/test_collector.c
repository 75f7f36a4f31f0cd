#include <criterion/criterion.h>
#include <inttypes.h>

#include "common/base/limits.h"
#include "coordinator/answers/collector.h"
#include "unit/leaks.h"

/* A spill in memory, which can be made to fail. */
struct spill {
    char bytes[1 << 22];
    bool full, unreadable;
    unsigned writes, maps, empties;
    size_t longest; /* bytes of the longest write or read */
};

static void note_length(struct spill *spill, size_t len)
{
    if (len > spill->longest) spill->longest = len;
}

static bool spill_write(void *ctx, uint64_t offset, const char *bytes, size_t len)
{
    struct spill *spill = ctx;
    if (spill->full || offset + len > sizeof spill->bytes) return false;
    memcpy(spill->bytes + offset, bytes, len);
    spill->writes++;
    note_length(spill, len);
    return true;
}

static bool spill_read(void *ctx, uint64_t offset, char *bytes, size_t len)
{
    struct spill *spill = ctx;
    if (spill->unreadable) return false;
    memcpy(bytes, spill->bytes + offset, len);
    note_length(spill, len);
    return true;
}

static char *spill_map(void *ctx, uint64_t offset, size_t len)
{
    struct spill *spill = ctx;
    spill->maps++;
    return spill->unreadable ? NULL : spill->bytes + offset;
}

static void spill_unmap(void *ctx, uint64_t offset, char *bytes, size_t len)
{
    struct spill *spill = ctx;
    cr_assert_eq(bytes, spill->bytes + offset);
    spill->maps--;
}

/* Nothing may use the bytes in the spill any more. */
static void spill_empty(void *ctx)
{
    struct spill *spill = ctx;
    cr_assert_eq(spill->maps, 0);
    memset(spill->bytes, 'e', sizeof spill->bytes);
    spill->empties++;
}

static struct collector *collector(enum collector_order order, size_t cap, struct spill *spill)
{
    struct collector_config config = {.order = order, .memory_cap = cap};
    if (spill) config.spill = (struct collector_spill){.write = spill_write, .read = spill_read, .ctx = spill};
    return collector_new(&config);
}

/* Lines with the index of their item: "7\n". */
static enum collector_status add(struct collector *c, uint64_t first, size_t n)
{
    static char lines[1 << 20];
    size_t len = 0;
    for (size_t i = 0; i < n; i++) len += (size_t)snprintf(lines + len, sizeof lines - len, "%" PRIu64 "\n", first + i);
    return collector_add(c, first, n, lines, len);
}

/* Takes everything that is ready and checks that each line belongs to its index. Returns the number of items. */
static uint64_t drain(struct collector *c, unsigned char *seen)
{
    struct answer_run run;
    enum collector_status status;
    uint64_t items = 0;
    while (collector_peek(c, &run, &status)) {
        const char *at = run.bytes;
        for (size_t i = 0; i < run.n; i++) {
            if (!run.repeated) {
                cr_assert_eq(strtoull(at, NULL, 10), run.first + i);
                at = strchr(at, '\n') + 1;
            }
            if (seen) cr_assert_eq(seen[run.first + i]++, 0);
        }
        if (!run.repeated) cr_assert_eq((size_t)(at - run.bytes), run.len);
        items += run.n;
        collector_consume(c, run.n, run.len);
    }
    cr_assert_eq(status, COLLECTOR_OK);
    return items;
}

static void assert_empty_and_free(struct collector *c)
{
    cr_assert_eq(drain(c, NULL), 0);
    cr_assert_eq(collector_spilled_bytes(c), 0);
    collector_free(c);
    assert_no_leaks();
}

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

static void fill_line(struct buf *line, uint64_t index, size_t len)
{
    buf_addf(line, "%llu", (unsigned long long)index);
    while (line->len < len - 1) buf_add_char(line, ' ');
    buf_add_char(line, '\n');
}

static void take_lines_of_all_sizes(enum collector_order order)
{
    enum { ITEMS = 40 };
    struct spill *spill = xcalloc(1, sizeof *spill);
    struct collector *c = collector(order, 300000, spill);
    unsigned char seen[ITEMS] = {0};
    for (uint64_t i = 0; i < ITEMS; i++) {
        uint64_t index = i ^ 3; /* completion order */
        struct buf line = {0};
        fill_line(&line, index, index % 3 == 0 ? 100 : 70000);
        bool large = line.len > 1000;
        cr_assert_eq(collector_take(c, index, 1, &line), COLLECTOR_OK);
        if (large) cr_assert_null(line.data, "a large line goes with its memory");
        buf_clear(&line);
        fill_line(&line, index, 70000);
        cr_assert_eq(collector_take(c, index, 1, &line), COLLECTOR_DUPLICATE);
        cr_assert_eq(line.len, 70000, "what is not added is left to the caller");
        buf_release(&line);
    }
    cr_assert_gt(spill->writes, 0, "what was taken counts against the cap");
    cr_assert_eq(drain(c, seen), ITEMS);
    assert_empty_and_free(c);
    free(spill);
}

Test(collector, large_lines_are_taken_with_their_memory)
{
    take_lines_of_all_sizes(COLLECT_INPUT_ORDER);
    take_lines_of_all_sizes(COLLECT_COMPLETION_ORDER);
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

/* Chunks finish in random order, in pieces of random size. */
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
        if (random % 7 == 0) out += drain(c, seen);
        if (cap && order == COLLECT_INPUT_ORDER)
            cr_assert_leq(collector_memory_bytes(c), cap + 150 * 1000); /* a thousand spilled runs of items */
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

Test(collector, completion_order_spills_what_nobody_reads)
{
    static struct spill spill;
    struct collector *c = collector(COLLECT_COMPLETION_ORDER, 100000, &spill);
    for (uint64_t i = 0; i < 300; i++) cr_assert_eq(add(c, i * 1000, 1000), COLLECTOR_OK);
    cr_assert_gt(collector_spilled_bytes(c), 1000000);
    cr_assert_lt(collector_memory_bytes(c), 300000);
    cr_assert_eq(drain(c, NULL), 300000);
    assert_empty_and_free(c);
}

/* Many jobs whose readers take nothing. One after the other adds a few lines, again and again. Besides its share, each
 * job holds the answers that go out next, and the bookkeeping of those in its file. */
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

Test(collector, jobs_with_slow_readers_share_the_memory_in_input_order)
{
    fill_shared(COLLECT_INPUT_ORDER);
}

Test(collector, jobs_with_slow_readers_share_the_memory_in_completion_order)
{
    fill_shared(COLLECT_COMPLETION_ORDER);
}

Test(collector, a_job_may_hold_what_is_left_and_at_most_its_cap)
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

Test(collector, a_full_disk_is_an_error_and_nothing_else)
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

Test(collector, a_spill_that_cannot_be_read_is_an_error)
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

enum { LARGE_BYTES = 3 * COLLECTOR_SLICE_BYTES / 2, LARGE_CAP = COLLECTOR_SLICE_BYTES };

static struct collector *collector_with_maps(enum collector_order order, struct spill *spill)
{
    return collector_new(&(struct collector_config){.order = order,
                                                    .memory_cap = LARGE_CAP,
                                                    .spill = {.write = spill_write,
                                                              .read = spill_read,
                                                              .map = spill_map,
                                                              .unmap = spill_unmap,
                                                              .empty = spill_empty,
                                                              .ctx = spill}});
}

/* Adds one line of LARGE_BYTES, which is filled with a letter that belongs to its index. */
static void add_large(struct collector *c, uint64_t index)
{
    struct buf line = {0};
    cr_assert(buf_reserve(&line, LARGE_BYTES));
    line.len = LARGE_BYTES;
    memset(line.data, (int)('a' + index), LARGE_BYTES);
    line.data[LARGE_BYTES - 1] = '\n';
    cr_assert_eq(collector_take(c, index, 1, &line), COLLECTOR_OK);
}

/* Reads the next line and checks that it is whole. */
static void read_large(struct collector *c, uint64_t index)
{
    struct answer_run run;
    enum collector_status status;
    cr_assert(collector_peek(c, &run, &status));
    cr_assert_eq(run.first, index);
    cr_assert_eq(run.len, LARGE_BYTES);
    for (size_t i = 0; i + 1 < run.len; i++) cr_assert_eq(run.bytes[i], (char)('a' + index), "%zu", i);
    collector_consume(c, 1, run.len);
}

static void spill_all(struct collector *c)
{
    while (collector_spills(c)) cr_assert_eq(collector_step(c), COLLECTOR_OK);
}

static void large_lines_go_to_the_spill_and_back(enum collector_order order)
{
    static struct spill spill;
    spill = (struct spill){0};
    struct collector *c = collector_with_maps(order, &spill);
    uint64_t first = order == COLLECT_INPUT_ORDER ? 1 : 0; /* in input order, item 0 is missing at first */
    for (uint64_t i = first; i < 3; i++) {
        add_large(c, i);
        if (i > 0) cr_assert(collector_spills(c), "only a part was written");
        if (i != 1) spill_all(c);
    }
    cr_assert_eq(collector_spilled_bytes(c), 2 * LARGE_BYTES);
    if (first) add_large(c, 0);
    for (uint64_t i = 0; i < 3; i++) read_large(c, i);
    cr_assert_leq(spill.longest, COLLECTOR_SLICE_BYTES);
    cr_assert_eq(spill.maps, 0);
    cr_assert_eq(collector_spilled_bytes(c), 0);
    cr_assert_gt(spill.empties, 0);
    collector_free(c);
    assert_no_leaks();
}

Test(collector, a_large_line_goes_to_the_spill_in_parts_and_is_mapped_to_be_read)
{
    large_lines_go_to_the_spill_and_back(COLLECT_INPUT_ORDER);
    large_lines_go_to_the_spill_and_back(COLLECT_COMPLETION_ORDER);
}

Test(collector, a_large_line_that_is_read_while_it_is_written_stays_in_memory)
{
    static struct spill spill;
    struct collector *c = collector_with_maps(COLLECT_INPUT_ORDER, &spill);
    add_large(c, 2);
    spill_all(c);
    add_large(c, 1);
    cr_assert(collector_spills(c));
    add_large(c, 0); /* now 0 and 1 are read before the rest of 1 is written */
    read_large(c, 0);
    read_large(c, 1);
    cr_assert_eq(collector_step(c), COLLECTOR_OK);
    cr_assert_not(collector_spills(c));
    read_large(c, 2);
    cr_assert_eq(collector_spilled_bytes(c), 0);
    add_large(c, 4);
    cr_assert(collector_spills(c));
    collector_free(c);
    assert_no_leaks();
}

Test(collector, a_part_that_cannot_be_written_is_a_failure_of_its_step)
{
    static struct spill spill;
    struct collector *c = collector_with_maps(COLLECT_INPUT_ORDER, &spill);
    add_large(c, 1);
    spill.full = true;
    cr_assert_eq(collector_step(c), COLLECTOR_SPILL_FAILED);
    collector_free(c);
    assert_no_leaks();
}
