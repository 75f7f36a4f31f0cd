/* Values of options that have the same form as in GNU parallel. */
#include <criterion/criterion.h>

#include "cli/options/option_values.h"

Test(option_values, a_duration_may_have_a_unit)
{
    static const struct {
        const char *text;
        double seconds;
    } good[] = {{"0", 0}, {"7", 7}, {"0.25", 0.25}, {".5", 0.5}, {"1.5m", 90}, {"2h", 7200}, {"1d", 86400}, {"3s", 3}};
    static const char *const bad[] = {"",    ".",    "x",    "-1",  "+1",  "1x",  "1mm",
                                      "1 s", "0x10", "1e99", "nan", "inf", "367d"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        double seconds = -1;
        cr_assert(option_read_duration(good[i].text, &seconds), "%s", good[i].text);
        cr_assert_eq(seconds, good[i].seconds, "%s: %g", good[i].text, seconds);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        double seconds = -1;
        cr_assert_not(option_read_duration(bad[i], &seconds), "%s", bad[i]);
        cr_assert_eq(seconds, -1);
    }
}

Test(option_values, a_number_of_processes_may_depend_on_the_processors)
{
    static const struct {
        const char *text;
        unsigned n;
    } good[] = {{"1", 1},    {"100", 100}, {"0", OPTION_JOBS_ALL},
                {"100%", 4}, {"150%", 6},  {"60%", 2},
                {"1%", 1},   {"0%", 1},    {"+2", 6},
                {"-1", 3},   {"-9", 1},    {"+0", 4}};
    static const char *const bad[] = {
        "", "%", "+", "x", "1x", "1.5", "+10%", "-10%", "1001", "+997", "99999999999999999999"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        unsigned n = 0;
        cr_assert(option_read_jobs(good[i].text, 4, 1000, &n), "%s", good[i].text);
        cr_assert_eq(n, good[i].n, "%s: %u", good[i].text, n);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        unsigned n = 0;
        cr_assert_not(option_read_jobs(bad[i], 4, 1000, &n), "%s", bad[i]);
        cr_assert_eq(n, 0);
    }
}

Test(option_values, an_error_list_has_names_of_errors_that_can_be_retried)
{
    static const char *const bad[] = {"", "crash", "crashed,", ",crashed", "crashed timed_out", "cancelled"};
    cr_assert(option_is_error_list("crashed"));
    cr_assert(option_is_error_list("task_error,timed_out,start_timed_out"));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) cr_assert_not(option_is_error_list(bad[i]), "%s", bad[i]);
}
