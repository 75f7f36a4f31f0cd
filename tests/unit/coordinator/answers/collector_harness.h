/* Collectors for tests. Each answer is a line with the index of its item, and the spill is in memory. */
#ifndef FANTAIL_TEST_COLLECTOR_HARNESS_H
#define FANTAIL_TEST_COLLECTOR_HARNESS_H

#include <criterion/criterion.h>
#include <inttypes.h>

#include "coordinator/answers/collector.h"
#include "unit/leaks.h"

/* A spill in memory, which can be made to fail. */
struct spill {
    char bytes[1 << 22];
    bool full, unreadable;
    unsigned writes, maps, empties;
    size_t longest; /* bytes of the longest write or read */
};

static inline void collector_free(struct collector *c)
{
    struct collector *buried = NULL;
    collector_bury(&buried, c);
    while (buried) collector_free_buried(&buried);
}

static inline void note_length(struct spill *spill, size_t len)
{
    if (len > spill->longest) spill->longest = len;
}

static inline bool spill_write(void *ctx, uint64_t offset, const char *bytes, size_t len)
{
    struct spill *spill = ctx;
    if (spill->full || offset + len > sizeof spill->bytes) return false;
    memcpy(spill->bytes + offset, bytes, len);
    spill->writes++;
    note_length(spill, len);
    return true;
}

static inline bool spill_read(void *ctx, uint64_t offset, char *bytes, size_t len)
{
    struct spill *spill = ctx;
    if (spill->unreadable) return false;
    memcpy(bytes, spill->bytes + offset, len);
    note_length(spill, len);
    return true;
}

static inline struct collector *collector(enum collector_order order, size_t cap, struct spill *spill)
{
    struct collector_config config = {.order = order, .memory_cap = cap};
    if (spill) config.spill = (struct collector_spill){.write = spill_write, .read = spill_read, .ctx = spill};
    return collector_new(&config);
}

/* Adds the answers of n items. Each line is the index of its item, such as "7\n". */
static inline enum collector_status add(struct collector *c, uint64_t first, size_t n)
{
    static char lines[1 << 20];
    size_t len = 0;
    for (size_t i = 0; i < n; i++) len += (size_t)snprintf(lines + len, sizeof lines - len, "%" PRIu64 "\n", first + i);
    return collector_add(c, first, n, lines, len);
}

/* Takes at most `most` of the next answers that are ready, and checks that each line belongs to its index. Returns the
 * number of items. */
static inline uint64_t take(struct collector *c, unsigned char *seen, size_t most)
{
    struct answer_run run;
    enum collector_status status;
    bool is_there = collector_peek(c, &run, &status);
    cr_assert_eq(status, COLLECTOR_OK);
    if (!is_there) return 0;
    size_t n = run.n < most ? run.n : most;
    const char *at = run.bytes;
    for (size_t i = 0; i < n; i++) {
        if (!run.repeated) {
            cr_assert_eq(strtoull(at, NULL, 10), run.first + i);
            at = strchr(at, '\n') + 1;
        }
        if (seen) cr_assert_eq(seen[run.first + i]++, 0);
    }
    if (!run.repeated && n == run.n) cr_assert_eq((size_t)(at - run.bytes), run.len);
    collector_consume(c, n, run.repeated ? run.len : (size_t)(at - run.bytes));
    return n;
}

/* Takes everything that is ready. */
static inline uint64_t drain(struct collector *c, unsigned char *seen)
{
    uint64_t items = 0;
    for (uint64_t n; (n = take(c, seen, SIZE_MAX)) > 0;) items += n;
    return items;
}

static inline void assert_empty_and_free(struct collector *c)
{
    cr_assert_eq(drain(c, NULL), 0);
    cr_assert_eq(collector_spilled_bytes(c), 0);
    collector_free(c);
    assert_no_leaks();
}

#endif
