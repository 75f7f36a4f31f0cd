#include <criterion/criterion.h>

#include "coordinator/answers/reduce.h"
#include "unit/leaks.h"

/* Reduces the values, up to NULL, and compares the text of the result. */
static void expect(enum job_reduce kind, const char *const *values, const char *result)
{
    struct reduction r;
    struct buf out = {0};
    reduction_init(&r, kind, 1000);
    for (uint64_t i = 0; values[i]; i++) reduction_add(&r, i, values[i], strlen(values[i]));
    cr_assert_str_empty(r.error, "%s", r.error);
    cr_assert(reduction_result(&r, &out));
    cr_assert_str_eq(buf_cstr(&out), result);
    buf_release(&out);
    reduction_release(&r);
    assert_no_leaks();
}

static void expect_refusal(enum job_reduce kind, const char *const *values, const char *part)
{
    struct reduction r;
    reduction_init(&r, kind, 16);
    for (uint64_t i = 0; values[i]; i++) reduction_add(&r, i, values[i], strlen(values[i]));
    cr_assert(strstr(r.error, part), "'%s' lacks '%s'", r.error, part);
    reduction_release(&r);
    assert_no_leaks();
}

#define VALUES(...) ((const char *const[]){__VA_ARGS__, NULL})
static const char *const no_values[] = {NULL};

Test(reduce, sums_of_integers_are_exact_beyond_2_to_the_53)
{
    expect(REDUCE_SUM, VALUES("9007199254740993", "1", "-2"), "9007199254740992");
    expect(REDUCE_SUM, VALUES("999999999999999999", "999999999999999999", "999999999999999999"), "2999999999999999997");
}

Test(reduce, sums_of_reals_are_compensated)
{
    expect(REDUCE_SUM, VALUES("1e100", "1.0", "-1e100"), "1");
}

Test(reduce, sums_of_reals_have_no_needless_digits_and_lose_none)
{
    expect(REDUCE_SUM, VALUES("0.5", "0.1"), "0.6");
    expect(REDUCE_SUM, VALUES("0.1", "0.2", "0"), "0.30000000000000004");
    expect(REDUCE_SUM, VALUES("1.5", "1.5"), "3");
    expect(REDUCE_SUM, VALUES("-2.5e-7", "0"), "-2.5e-07");
    expect(REDUCE_SUM, VALUES("1.7976931348623157e308"), "1.7976931348623157e+308");
    expect(REDUCE_SUM, VALUES("5e-324"), "4.94065645841247e-324");
    expect(REDUCE_SUM, VALUES("9007199254740993.0", "0.5"), "9007199254740992");
}

Test(reduce, nothing_to_reduce_gives_zero_or_null)
{
    expect(REDUCE_SUM, no_values, "0");
    expect(REDUCE_COUNT, no_values, "0");
    expect(REDUCE_MIN, no_values, "null");
    expect(REDUCE_CONCAT, no_values, "null");
}

Test(reduce, min_and_max_give_the_value_as_it_came)
{
    expect(REDUCE_MIN, VALUES("3", "1.50", "2"), "1.50");
    expect(REDUCE_MAX, VALUES("\"a\"", "\"c\"", "\"b\""), "\"c\"");
}

Test(reduce, of_equal_values_the_first_one_is_the_result)
{
    expect(REDUCE_MIN, VALUES("1.0", "1", "1e0"), "1.0");
    expect(REDUCE_MAX, VALUES("-0", "0", "0.0"), "-0");
    expect(REDUCE_MAX, VALUES("\"A\"", "\"\\u0041\""), "\"A\"");
}

Test(reduce, min_and_max_see_what_a_value_means)
{
    expect(REDUCE_MIN, VALUES("\"B\"", "\"\\u0041\""), "\"\\u0041\"");
    expect(REDUCE_MAX, VALUES("9007199254740993", "9007199254740992"), "9007199254740993");
    expect(REDUCE_MIN, VALUES("9007199254740993", "9007199254740992"), "9007199254740992");
    expect(REDUCE_MAX, VALUES("1e400", "2e399", "-1e500"), "1e400");
}

Test(reduce, concat_joins_arrays_and_strings)
{
    expect(REDUCE_CONCAT, VALUES("[1,2]", "[]", "[ ]", "[3]"), "[1,2,3]");
    expect(REDUCE_CONCAT, VALUES("\"ab\"", "\"\"", "\"c\""), "\"abc\"");
}

Test(reduce, a_value_of_the_wrong_kind_is_named)
{
    expect_refusal(REDUCE_SUM, VALUES("1", "\"x\""), "item 1");
    expect_refusal(REDUCE_SUM, VALUES("1e308", "1e308"), "item 1");
    expect_refusal(REDUCE_MAX, VALUES("1", "\"x\""), "mixed");
    expect_refusal(REDUCE_MIN, VALUES("{}"), "neither");
    expect_refusal(REDUCE_CONCAT, VALUES("[1]", "\"x\""), "mixed");
    expect_refusal(REDUCE_CONCAT, VALUES("\"0123456789\"", "\"0123456789\""), "too large");
}
