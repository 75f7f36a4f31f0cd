/* Option values whose form is the same as in GNU parallel. */
#include <criterion/criterion.h>

#include "cli/options/option_values.h"
#include "protocol/protocol.h"

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
    uint32_t bits = 0;
    cr_assert(option_read_errors("crashed", &bits));
    cr_assert_eq(bits, 1u << ITEM_CRASHED);
    cr_assert(option_read_errors("task_error,timed_out,start_timed_out", &bits));
    cr_assert_eq(bits, 1u << ITEM_TASK_ERROR | 1u << ITEM_TIMED_OUT | 1u << ITEM_START_TIMED_OUT);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) cr_assert_not(option_read_errors(bad[i], &bits), "%s", bad[i]);
}

Test(option_values, a_rate_is_a_number_in_a_second_a_minute_or_an_hour)
{
    static const char *const bad[] = {"", "0", "0/s", "5/d", "-1", "x/s", "1/", "1e-300/h"};
    double s = 0;
    cr_assert(option_read_rate("4", &s) && s == 0.25);
    cr_assert(option_read_rate("0.5/s", &s) && s == 2);
    cr_assert(option_read_rate("30/m", &s) && s == 2);
    cr_assert(option_read_rate("7200/h", &s) && s == 0.5);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) cr_assert_not(option_read_rate(bad[i], &s), "%s", bad[i]);
}

Test(option_values, a_load_is_a_number_or_a_percentage_of_the_processors)
{
    static const char *const bad[] = {"", "x", "-1", "1x", "%"};
    double load = 0;
    cr_assert(option_read_load("3", 4, &load) && load == 3);
    cr_assert(option_read_load("50%", 4, &load) && load == 2);
    cr_assert(option_read_load("0", 4, &load) && load > 0 && load < 1);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) cr_assert_not(option_read_load(bad[i], 4, &load), "%s", bad[i]);
}

Test(option_values, the_forms_of_halt_are_those_of_gnu_parallel)
{
    static const struct {
        const char *text;
        enum run_gate_why why;
        bool cuts;
        double count, fraction;
    } good[] = {
        {"never", RUN_GATE_NEVER, false, 0, 0},       {"0", RUN_GATE_NEVER, false, 0, 0},
        {"now,fail=1", RUN_GATE_FAILED, true, 1, 0},  {"soon,success=3", RUN_GATE_SUCCEEDED, false, 3, 0},
        {"now,done=5%", RUN_GATE_DONE, true, 0, .05}, {"soon,fail=100%", RUN_GATE_FAILED, false, 0, 1},
        {"1", RUN_GATE_FAILED, false, 1, 0},          {"2", RUN_GATE_FAILED, true, 1, 0},
        {"-1", RUN_GATE_SUCCEEDED, false, 1, 0},      {"-2", RUN_GATE_SUCCEEDED, true, 1, 0},
        {"20%", RUN_GATE_FAILED, false, 0, .2},
    };
    static const char *const bad[] = {
        "",           "now",         "now,fail",     "now,fail=",   "now,fail=0", "later,fail=1",
        "now,fail=x", "now,never=1", "fail=1",       "now,fail=1x", "3",          "now,fail=101%",
        "now=1,fail", "soon,=1",     "now,failed=1", "101%",        "-3",         "0%"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        struct run_gate_rules r = {0};
        cr_assert(option_read_halt(good[i].text, &r), "%s", good[i].text);
        cr_assert_eq(r.halt_why, good[i].why, "%s", good[i].text);
        cr_assert_eq(r.halt_cuts, good[i].cuts, "%s", good[i].text);
        cr_assert_eq(r.halt_count, good[i].count, "%s", good[i].text);
        cr_assert_eq(r.halt_fraction, good[i].fraction, "%s", good[i].text);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct run_gate_rules r = {0};
        cr_assert_not(option_read_halt(bad[i], &r), "%s", bad[i]);
        cr_assert_eq(r.halt_why, RUN_GATE_NEVER);
    }
}
