#include <criterion/criterion.h>

#include "cli/report/count.h"
#include "unit/leaks.h"

static void expect_text(struct buf *out, const char *text)
{
    cr_expect_str_eq(buf_cstr(out), text);
    buf_release(out);
    assert_no_leaks();
}

static void expect_count(uint64_t n, const char *text)
{
    struct buf out = {0};
    count_add(&out, n);
    expect_text(&out, text);
}

static void expect_duration(double seconds, const char *text)
{
    struct buf out = {0};
    count_add_duration(&out, seconds);
    expect_text(&out, text);
}

static void expect_run_time(double seconds, const char *text)
{
    struct buf out = {0};
    count_add_run_time(&out, seconds);
    expect_text(&out, text);
}

Test(count, a_comma_is_before_each_three_digits)
{
    expect_count(0, "0");
    expect_count(999, "999");
    expect_count(1000, "1,000");
    expect_count(123456, "123,456");
    expect_count(UINT64_MAX, "18,446,744,073,709,551,615");
}

Test(count, hours_are_shown_only_if_there_are_some)
{
    expect_duration(0, "0:00");
    expect_duration(59.4, "0:59");
    expect_duration(59.6, "1:00");
    expect_duration(3600, "1:00:00");
}

Test(count, a_short_run_has_tenths_of_a_second)
{
    expect_run_time(0.04, "0.0 s");
    expect_run_time(9.94, "9.9 s");
    expect_run_time(9.96, "0:10");
    expect_run_time(61, "1:01");
}
