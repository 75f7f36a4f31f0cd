#include <criterion/criterion.h>

#include "cli/map/error_counts.h"
#include "unit/leaks.h"

static void add(struct error_counts *c, unsigned times, const char *error)
{
    for (unsigned i = 0; i < times; i++) error_counts_add(c, error, strlen(error));
}

static void expect(const struct error_counts *c, uint64_t cancelled, const char *text)
{
    struct buf out = {0};
    error_counts_write(c, cancelled, &out);
    cr_assert_str_eq(buf_cstr(&out), text);
    buf_release(&out);
    assert_no_leaks();
}

Test(error_counts, the_largest_count_is_first_and_equal_counts_are_in_order_of_their_names)
{
    struct error_counts c = {0};
    add(&c, 1, "{\"name\":\"timed_out\",\"cause\":\"late\"}");
    add(&c, 10, "{\"name\":\"crashed\"}");
    add(&c, 1, "{\"name\":\"task_error\"}");
    expect(&c, 0, "10 crashed, 1 task_error, 1 timed_out");
}

Test(error_counts, a_name_is_read_wherever_and_however_it_is_written)
{
    struct error_counts c = {0};
    add(&c, 1, "{\"name\":\"crashed\"}");
    add(&c, 1, "{\"cause\":\"x\",\"name\":\"crashed\"}");
    add(&c, 1, "{\"name\":\"cr\\u0061shed\"}");
    add(&c, 1, "{ \"name\" : \"crashed\" }");
    expect(&c, 0, "4 crashed");
}

Test(error_counts, cancelled_items_are_left_out_and_failures_with_that_name_are_not)
{
    struct error_counts c = {0};
    add(&c, 5, "{\"name\":\"cancelled\",\"sent\":false}");
    add(&c, 2, "{\"name\":\"crashed\"}");
    expect(&c, 5, "2 crashed");
    expect(&c, 4, "2 crashed, 1 cancelled");
}

Test(error_counts, names_that_are_too_many_too_long_or_missing_are_counted_together)
{
    struct error_counts c = {0};
    char error[200];
    for (unsigned i = 0; i < ERROR_NAMES_MAX + 3; i++) {
        snprintf(error, sizeof error, "{\"name\":\"e%02u\"}", i);
        add(&c, 1, error);
    }
    snprintf(error, sizeof error, "{\"name\":\"%0100d\"}", 1);
    add(&c, 1, error);
    add(&c, 1, "{}");
    add(&c, 1, "{\"name\":\"\"}");
    add(&c, 1, "no object");
    expect(&c, 0, "1 e00, 1 e01, 1 e02, 1 e03, 1 e04, 1 e05, 1 e06, 1 e07, 7 other");
}
