#include <criterion/criterion.h>

#include "coordinator/answers/reduce.h"
#include "unit/leaks.h"

/* Adds a value in steps of `step` bytes, and returns the number of steps. The value is at a different address in each
 * step. */
static unsigned add(struct reduction *r, uint64_t index, const char *value, size_t len, size_t step)
{
    for (unsigned n = 1;; n++) {
        char *copy = xstrndup(value, len);
        size_t budget = step, before = r->best.len;
        bool whole = reduction_add(r, index, copy, len, &budget);
        free(copy);
        if (whole) return n;
        cr_assert_eq(budget, 0);
        if (r->best.len > before) cr_assert_leq(r->best.len - before, step + 2);
    }
}

/* Reduces the values of a list that ends with NULL, and compares the text of the result. */
static void expect_in_steps(enum job_reduce kind, const char *const *values, const char *expected, size_t step)
{
    struct reduction r;
    reduction_init(&r, kind, 1000);
    for (uint64_t i = 0; values[i]; i++) add(&r, i, values[i], strlen(values[i]), step);
    cr_assert_str_empty(r.error, "%s", r.error);
    struct json_slice result = reduction_result(&r);
    cr_assert_eq(result.len, strlen(expected), "%.*s", (int)result.len, result.data);
    cr_assert_eq(memcmp(result.data, expected, result.len), 0, "%.*s", (int)result.len, result.data);
    reduction_release(&r);
    assert_no_leaks();
}

static void expect(enum job_reduce kind, const char *const *values, const char *result)
{
    expect_in_steps(kind, values, result, SIZE_MAX);
    expect_in_steps(kind, values, result, 7);
}

static void expect_refusal(enum job_reduce kind, const char *const *values, const char *part)
{
    struct reduction r;
    reduction_init(&r, kind, 16);
    for (uint64_t i = 0; values[i]; i++) add(&r, i, values[i], strlen(values[i]), SIZE_MAX);
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
    expect_refusal(REDUCE_SUM, VALUES("1", "\"x\""), "item 2 (index 1)");
    expect_refusal(REDUCE_SUM, VALUES("1e308", "1e308"), "item 2 (index 1)");
    expect_refusal(REDUCE_MAX, VALUES("1", "\"x\""), "mixed");
    expect_refusal(REDUCE_MIN, VALUES("{}"), "neither");
    expect_refusal(REDUCE_CONCAT, VALUES("[1]", "\"x\""), "mixed");
    expect_refusal(REDUCE_CONCAT, VALUES("\"0123456789\"", "\"0123456789\""), "exceed its limit of 16 bytes");
    expect_refusal(REDUCE_MIN, VALUES("\"0123456789012345\""), "exceed its limit of 16 bytes");
}

enum { LONG_BYTES = 40000, STEP_BYTES = 1000 };

/* Returns a value of at most LONG_BYTES: `open`, then `middle` as often as it fits, then `close`. */
static struct buf long_value(const char *open, const char *middle, const char *close)
{
    struct buf value = {0};
    buf_add_str(&value, open);
    while (value.len + strlen(middle) + strlen(close) <= LONG_BYTES) buf_add_str(&value, middle);
    buf_add_str(&value, close);
    buf_cstr(&value);
    return value;
}

Test(reduce, no_step_looks_at_more_than_its_share_of_a_long_value)
{
    static const struct {
        enum job_reduce kind;
        const char *open, *middle, *close;
    } cases[] = {
        {REDUCE_MAX, "\"", "x", "\""},    {REDUCE_MIN, "\"", "\\u0041", "\""}, {REDUCE_MAX, "1", "9", ""},
        {REDUCE_MIN, "0.", "0", "1"},     {REDUCE_SUM, "1", "9", "e-40000"},   {REDUCE_CONCAT, "\"", "x", "\""},
        {REDUCE_CONCAT, "[", "1,", "1]"}, {REDUCE_CONCAT, "[", " ", "]"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct reduction r;
        struct buf value = long_value(cases[i].open, cases[i].middle, cases[i].close);
        reduction_init(&r, cases[i].kind, 4 * LONG_BYTES);
        for (uint64_t n = 0; n < 2; n++)
            cr_assert_geq(add(&r, n, value.data, value.len, STEP_BYTES), LONG_BYTES / STEP_BYTES / 2, "case %zu", i);
        cr_assert_str_empty(r.error, "%s", r.error);
        reduction_release(&r);
        buf_release(&value);
    }
    assert_no_leaks();
}

Test(reduce, long_numbers_are_added_as_if_they_were_short)
{
    struct buf ones = {0}, tie = {0}, above = {0};
    buf_add_str(&ones, "0.1");
    for (int i = 0; i < 2000; i++) buf_add_char(&ones, '0');
    expect(REDUCE_SUM, VALUES(buf_cstr(&ones), "0.2"), "0.30000000000000004");
    /* 2^53 + 1 is halfway between two doubles. The digits after this number decide how it is rounded, however many
     * zeros come before them. */
    buf_add_str(&tie, "9007199254740993.");
    for (int i = 0; i < 2000; i++) buf_add_char(&tie, '0');
    buf_add(&above, tie.data, tie.len);
    buf_add_char(&above, '1');
    expect(REDUCE_SUM, VALUES(buf_cstr(&tie)), "9007199254740992");
    expect(REDUCE_SUM, VALUES(buf_cstr(&above)), "9007199254740994");
    buf_add_str(&above, "e-3");
    expect(REDUCE_SUM, VALUES(buf_cstr(&above)), "9007199254740.992");
    buf_release(&ones);
    buf_release(&tie);
    buf_release(&above);
}
