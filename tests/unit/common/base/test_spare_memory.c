/* Large blocks are returned to the kernel in slices. The tests count resident pages with mincore(), so they need no
 * clock. */
#include <criterion/criterion.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/limits.h"
#include "common/base/memory_room.h"
#include "common/base/spare_memory.h"
#include "unit/leaks.h"

#define BLOCK_BYTES ((size_t)60 << 20)

/* Returns how many bytes of the block are resident, in whole pages. */
static size_t resident(const char *block)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), n = 0;
    uintptr_t begin = ((uintptr_t)block + page - 1) & ~(page - 1);
    unsigned char *in = xcalloc(BLOCK_BYTES / page, 1);
    cr_assert_eq(mincore((void *)begin, BLOCK_BYTES - page, in), 0);
    for (size_t i = 0; i < BLOCK_BYTES / page; i++) n += in[i] & 1;
    free(in);
    return n * page;
}

static char *full_block(void)
{
    char *block = xmalloc(BLOCK_BYTES);
    memset(block, 'x', BLOCK_BYTES);
    return block;
}

Test(spare_memory, no_step_frees_more_than_its_share_of_a_large_block)
{
    size_t steps = 0;
    spare_memory_start();
    char *block = full_block();
    size_t before = resident(block);
    spare_memory_free(block);
    cr_assert_eq(resident(block), before, "freeing only queues the block");
    while (spare_memory_waits()) {
        spare_memory_step();
        steps++;
        if (!spare_memory_waits()) break;
        size_t after = resident(block);
        cr_assert_leq(before - after, SPARE_MEMORY_STEP_BYTES);
        before = after;
    }
    cr_assert_leq(before, 2 * SPARE_MEMORY_STEP_BYTES, "the last step freed %zu bytes", before);
    cr_assert_geq(steps, BLOCK_BYTES / SPARE_MEMORY_STEP_BYTES);
    spare_memory_stop();
    assert_no_leaks();
}

Test(spare_memory, a_large_buffer_that_is_released_waits_and_a_small_one_does_not)
{
    struct buf small = {0}, large = {0};
    spare_memory_start();
    cr_assert(buf_reserve(&small, SPARE_MEMORY_LARGE_BYTES / 2));
    cr_assert(buf_reserve(&large, SPARE_MEMORY_LARGE_BYTES));
    buf_release(&small);
    cr_assert_not(spare_memory_waits());
    buf_release(&large);
    cr_assert(spare_memory_waits());
    spare_memory_stop();
    cr_assert_not(spare_memory_waits());
    assert_no_leaks();
}

Test(spare_memory, a_program_that_makes_no_steps_frees_at_once)
{
    spare_memory_free(full_block());
    cr_assert_not(spare_memory_waits());
    spare_memory_free(NULL);
    assert_no_leaks();
}

static bool room_is_there_when_nothing_waits(size_t bytes)
{
    return !spare_memory_waits();
}

Test(spare_memory, blocks_that_wait_are_freed_when_memory_is_short)
{
    spare_memory_start();
    spare_memory_free(full_block());
    memory_probe = room_is_there_when_nothing_waits;
    cr_assert(memory_has_room(BLOCK_BYTES));
    cr_assert_not(spare_memory_waits());
    spare_memory_stop();
    assert_no_leaks();
}

#ifndef __SANITIZE_ADDRESS__
static long faults(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return use.ru_minflt;
}
#endif

/* A page that is copied causes a page fault at its new address. A page that the kernel moves causes no page fault. */
Test(spare_memory, a_large_buffer_grows_without_copies)
{
#ifdef __SANITIZE_ADDRESS__
    cr_skip_test("this sanitizer copies every growing block; build the test with SANITIZE=");
#else
    struct buf b = {0};
    spare_memory_start();
    cr_assert(buf_reserve(&b, SPARE_MEMORY_LARGE_BYTES));
    long page = sysconf(_SC_PAGESIZE), step_pages = (long)(MIB / (size_t)page);
    char *bytes = xcalloc(MIB, 1);
    while (b.len < BLOCK_BYTES) {
        long before = faults();
        cr_assert(buf_add(&b, bytes, MIB));
        cr_assert_leq(faults() - before, 2 * step_pages, "at %zu bytes", b.len);
    }
    free(bytes);
    buf_release(&b);
    spare_memory_stop();
#endif
}

Test(spare_memory, memory_is_returned_now_and_then_during_work_and_once_after_it)
{
    struct spare_memory_plan p = {0};
    uint64_t now = 1000 * NS_PER_S;
    cr_assert_not(spare_memory_tick(&p, true, now), "there was no work");
    spare_memory_work_ended(&p, now);
    cr_assert(spare_memory_tick(&p, false, now));
    for (int s = 1; s <= 12; s++) {
        spare_memory_work_ended(&p, now + (uint64_t)s * NS_PER_S);
        cr_assert_eq(spare_memory_tick(&p, false, now + (uint64_t)s * NS_PER_S), s % 5 == 0, "after %d s", s);
        cr_assert(p.is_due);
    }
    now += 12 * NS_PER_S;
    cr_assert_not(spare_memory_tick(&p, true, now + SPARE_MEMORY_GAP_NS / 2), "more work may come soon");
    cr_assert(spare_memory_tick(&p, true, now + SPARE_MEMORY_GAP_NS));
    cr_assert_not(p.is_due);
    cr_assert_not(spare_memory_tick(&p, true, now + 10 * SPARE_MEMORY_GAP_NS), "an idle service has nothing to return");
}
