/* The order of JSON values by their meaning. Each list is in ascending order, and each of its values is compared with
 * all others. */
#include <criterion/criterion.h>

#include "coordinator/answers/value_compare.h"
#include "unit/leaks.h"

static struct json_slice slice(const char *text)
{
    return (struct json_slice){text, strlen(text)};
}

static int sign(int n)
{
    return (n > 0) - (n < 0);
}

/* Compares in steps of `step` bytes. */
static int order_of(const char *a, const char *b, size_t step)
{
    struct value_compare c = {0};
    value_compare_init(&c);
    for (size_t budget = step; !value_compare_step(&c, slice(a), slice(b), &budget); budget = step)
        cr_assert_eq(budget, 0);
    int order = sign(c.order);
    value_compare_release(&c);
    return order;
}

static void check_order(const char *a, const char *b, int expected)
{
    static const size_t steps[] = {SIZE_MAX, 1, 2, 5};
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) cr_assert_eq(order_of(a, b, steps[i]), expected, "%s and %s", a, b);
}

static void check_ascending(const char *const *values, int n)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) check_order(values[i], values[j], sign(i - j));
    assert_no_leaks();
}

static void check_equal(const char *const *values, int n)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) check_order(values[i], values[j], 0);
    assert_no_leaks();
}

Test(value_compare, numbers_ascend)
{
    static const char *const values[] = {"-1e400",
                                         "-1e308",
                                         "-9007199254740993",
                                         "-9007199254740992",
                                         "-10",
                                         "-9.99",
                                         "-2",
                                         "-1.000001",
                                         "-1",
                                         "-0.1",
                                         "-1e-400",
                                         "0",
                                         "1e-400",
                                         "2e-400",
                                         "0.000012",
                                         "0.1",
                                         "0.10000000000000000001",
                                         "0.11",
                                         "1",
                                         "1.0000000000000001",
                                         "2",
                                         "9.99",
                                         "10",
                                         "99",
                                         "100.5",
                                         "9007199254740992",
                                         "9007199254740992.5",
                                         "9007199254740993",
                                         "9999999999999999999999999",
                                         "10000000000000000000000000",
                                         "1e308",
                                         "1e400",
                                         "11e399",
                                         "1e1000000000000000000000"};
    check_ascending(values, ARRAY_SIZE(values));
}

Test(value_compare, numbers_that_are_written_differently_are_equal)
{
    static const char *const one[] = {"1", "1.0", "1.000", "1e0", "1E0", "10e-1", "0.1e1", "0.01e+2", "1e-0"};
    static const char *const zero[] = {"0", "-0", "0.0", "-0.000", "0e5", "0e-99999999999999999999", "-0E+7"};
    static const char *const big[] = {"1234500", "12345e2", "1.2345e6", "1234500.00", "0.00012345E10"};
    check_equal(one, ARRAY_SIZE(one));
    check_equal(zero, ARRAY_SIZE(zero));
    check_equal(big, ARRAY_SIZE(big));
}

Test(value_compare, strings_ascend_by_the_bytes_of_their_characters)
{
    static const char *const values[] = {
        "\"\"",        "\"\\u0000\"", "\"\\u0000a\"", "\"\\n\"",     "\" \"",
        "\"\\u0022\"", "\"A\"",       "\"A\\u0042\"", "\"B\"",       "\"\\\\\"",
        "\"a\"",       "\"\\u00e9\"", "\"\\u20ac\"",  "\"\\uffff\"", "\"\\ud83d\\ude00\""};
    check_ascending(values, ARRAY_SIZE(values));
}

Test(value_compare, strings_that_are_written_differently_are_equal)
{
    static const char *const values[] = {"\"A/\xc3\xa9\xf0\x9f\x98\x80\"", "\"\\u0041\\/\\u00E9\\ud83d\\ude00\"",
                                         "\"A\\u002f\\u00e9\xf0\x9f\x98\x80\""};
    check_equal(values, ARRAY_SIZE(values));
}
