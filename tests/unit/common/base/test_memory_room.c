#include "common/base/memory_room.h"

#include <criterion/criterion.h>
#include <sys/resource.h>

#include "common/base/buf.h"

static size_t asked;

static bool refuse(size_t bytes)
{
    asked = bytes;
    return false;
}

Test(memory_room, what_is_small_is_never_asked_for)
{
    memory_probe = refuse;
    cr_assert(memory_has_room(0) && memory_has_room(MEMORY_SMALL_BYTES - 1));
    cr_assert_eq(asked, 0);
    cr_assert(!memory_has_room(MEMORY_SMALL_BYTES));
    cr_assert_eq(asked, MEMORY_SMALL_BYTES + MEMORY_RESERVE_BYTES);
}

Test(memory_room, the_kernel_knows_what_is_left)
{
    cr_assert(memory_has_room(MEMORY_SMALL_BYTES));
    cr_assert(!memory_has_room(SIZE_MAX / 4) && !memory_has_room(SIZE_MAX));
    struct rlimit none = {MEMORY_RESERVE_BYTES, RLIM_INFINITY}, before;
    cr_assert(getrlimit(RLIMIT_AS, &before) == 0 && setrlimit(RLIMIT_AS, &none) == 0);
    bool had_room = memory_has_room(MEMORY_SMALL_BYTES);
    setrlimit(RLIMIT_AS, &before);
    cr_assert(!had_room);
    cr_assert(memory_has_room(MEMORY_SMALL_BYTES), "the limit is read at each call");
}

Test(memory_room, the_growth_of_a_buffer_is_what_it_allocates)
{
    static const size_t extras[] = {0, 1, 63, 64, 65, 100, 1000, 70000, 10};
    struct buf b = {0}, capped;
    for (size_t i = 0; i < ARRAY_SIZE(extras); i++) {
        size_t growth = buf_growth(&b, extras[i]), before = b.alloc;
        cr_assert(buf_reserve(&b, extras[i]));
        cr_assert_eq(b.alloc, growth ? growth : before, "%zu more", extras[i]);
        b.len += extras[i];
    }
    buf_release(&b);
    buf_init(&capped, 100);
    cr_assert(buf_growth(&capped, 101) == 0 && buf_growth(&capped, 100) == 100);
}

static size_t left;

static bool has_left(size_t bytes)
{
    return bytes <= left;
}

Test(memory_room, small_blocks_are_refused_before_the_reserve_is_used_up)
{
    memory_probe = has_left;
    left = MEMORY_RESERVE_BYTES / 2;
    cr_assert(memory_has_reserve() && !memory_has_room(MEMORY_SMALL_BYTES));
    left--;
    cr_assert(!memory_has_reserve());
}

Test(memory_room, many_blocks_take_at_most_half_of_what_is_left)
{
    enum { BLOCK = 128 << 10 };
    memory_probe = has_left;
    left = MEMORY_RESERVE_BYTES + 2 * 1000 * (size_t)BLOCK;
    cr_assert_eq(memory_blocks_that_fit(1000, 16, BLOCK), 1000);
    unsigned fit = memory_blocks_that_fit(12000, 16, BLOCK);
    cr_assert(fit > 900 && fit <= 1000, "%u", fit);
    left = 0;
    cr_assert_eq(memory_blocks_that_fit(12000, 16, BLOCK), 16);
    cr_assert_eq(memory_blocks_that_fit(2, 16, BLOCK), 2);
}
