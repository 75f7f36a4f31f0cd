#include <criterion/criterion.h>

#include "cli/report/progress_line.h"
#include "unit/leaks.h"

static void expect(const struct progress_state *s, size_t columns, const char *text)
{
    struct buf line = {0};
    progress_line_add(&line, s, columns);
    cr_expect_str_eq(buf_cstr(&line), text);
    buf_release(&line);
    assert_no_leaks();
}

static const struct progress_state half = {
    .done = 30000, .failed = 12345, .total = 60000, .total_is_sure = true, .rate = 1234, .seconds = 24};

Test(progress_line, the_counts_are_first_and_the_bar_gets_the_room_that_is_left)
{
    expect(&half, 79, "30,000/60,000  12,345 failed  50%  [#########.........]  1234/s  0:24  ETA 0:24");
    expect(&half, 200, "30,000/60,000  12,345 failed  50%  [############............]  1234/s  0:24  ETA 0:24");
}

Test(progress_line, a_narrow_terminal_loses_what_matters_least)
{
    expect(&half, 60, "30,000/60,000  12,345 failed  50%  1234/s  0:24  ETA 0:24");
    expect(&half, 48, "30,000/60,000  12,345 failed  50%  ETA 0:24");
    expect(&half, 30, "30,000/60,000  12,345 failed");
    expect(&half, 14, "30,000/60,000");
    expect(&half, 5, "30,00");
}

Test(progress_line, a_colour_takes_no_columns)
{
    struct progress_state s = half;
    s.colored = true;
    expect(&s, 48, "30,000/60,000  \033[31m12,345 failed\033[0m  50%  ETA 0:24");
    expect(&s, 30, "30,000/60,000  \033[31m12,345 failed\033[0m");
    expect(&s, 14, "30,000/60,000");
    s.failed = 0;
    expect(&s, 30, "30,000/60,000  50%  ETA 0:24");
}

Test(progress_line, no_line_is_wider_than_the_terminal)
{
    struct progress_state s = {.done = UINT64_MAX / 2,
                               .failed = UINT64_MAX / 2,
                               .total = UINT64_MAX,
                               .rate = 1e9,
                               .seconds = 1e6,
                               .note = "waiting for a worker"};
    for (size_t columns = 1; columns < 300; columns++) {
        struct buf line = {0};
        progress_line_add(&line, &s, columns);
        cr_expect_leq(line.len, columns);
        buf_release(&line);
    }
    assert_no_leaks();
}

Test(progress_line, a_note_takes_the_place_of_the_time_left)
{
    struct progress_state s = half;
    s.note = "waiting for a worker";
    s.failed = 0;
    expect(&s, 60, "30,000/60,000  50%  1234/s  0:24  waiting for a worker");
}

Test(progress_line, an_unknown_total_has_neither_bar_nor_time_left)
{
    expect(&(struct progress_state){.done = 7, .rate = 3.5, .seconds = 3661}, 79, "7 items  3.5/s  1:01:01");
    expect(&(struct progress_state){.done = 5, .total = 10, .rate = 1, .seconds = 5}, 40,
           "5/~10  50%  1.0/s  0:05  ETA 0:05");
}
