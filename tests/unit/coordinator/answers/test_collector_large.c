/* The collector takes ownership of the memory of a large line. The collector spills a large line in parts, and maps the
 * spilled line to read it. */
#include "unit/coordinator/answers/collector_harness.h"

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

/* Empties the spill. No mapping of the spilled bytes may be left. */
static void spill_empty(void *ctx)
{
    struct spill *spill = ctx;
    cr_assert_eq(spill->maps, 0);
    memset(spill->bytes, 'e', sizeof spill->bytes);
    spill->empties++;
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
        uint64_t index = i ^ 3; /* lines are added in this order, and not in the order of the items */
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

Test(collector_large, large_lines_are_taken_with_their_memory)
{
    take_lines_of_all_sizes(COLLECT_INPUT_ORDER);
    take_lines_of_all_sizes(COLLECT_COMPLETION_ORDER);
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

/* Adds one line of LARGE_BYTES. The letter that fills the line depends on the index of the line. */
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
    uint64_t first = order == COLLECT_INPUT_ORDER ? 1 : 0; /* in input order, the test adds item 0 last */
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

Test(collector_large, a_large_line_goes_to_the_spill_in_parts_and_is_mapped_to_be_read)
{
    large_lines_go_to_the_spill_and_back(COLLECT_INPUT_ORDER);
    large_lines_go_to_the_spill_and_back(COLLECT_COMPLETION_ORDER);
}

Test(collector_large, a_large_line_that_is_read_while_it_is_written_stays_in_memory)
{
    static struct spill spill;
    struct collector *c = collector_with_maps(COLLECT_INPUT_ORDER, &spill);
    add_large(c, 2);
    spill_all(c);
    add_large(c, 1);
    cr_assert(collector_spills(c));
    add_large(c, 0); /* lines 0 and 1 are now read before the rest of line 1 is written */
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

Test(collector_large, a_part_that_cannot_be_written_is_a_failure_of_its_step)
{
    static struct spill spill;
    struct collector *c = collector_with_maps(COLLECT_INPUT_ORDER, &spill);
    add_large(c, 1);
    spill.full = true;
    cr_assert_eq(collector_step(c), COLLECTOR_SPILL_FAILED);
    collector_free(c);
    assert_no_leaks();
}
