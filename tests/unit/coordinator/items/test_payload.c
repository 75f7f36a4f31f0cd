#include <criterion/criterion.h>

#include "coordinator/items/payload.h"
#include "unit/leaks.h"

static struct payload *five(void)
{
    struct buf lines = {0};
    buf_add_str(&lines, "0\n\"one\"\n2\n[3]\n4\n");
    return payload_new(&lines, 5);
}

static void expect_range(struct payload *p, uint64_t from, uint64_t to, const char *text)
{
    size_t len;
    const char *lines = payload_range(p, from, to, &len);
    cr_assert_eq(len, strlen(text));
    cr_assert_eq(memcmp(lines, text, len), 0);
}

Test(payload, any_range_of_items_is_its_lines)
{
    struct payload *p = five();
    expect_range(p, 0, 5, "0\n\"one\"\n2\n[3]\n4\n");
    expect_range(p, 1, 3, "\"one\"\n2\n");
    expect_range(p, 4, 5, "4\n");
    expect_range(p, 2, 2, "");
    expect_range(p, 5, 5, "");
    payload_free(p);
    assert_no_leaks();
}

Test(payload, ranges_may_be_asked_in_any_order)
{
    struct payload *p = five();
    expect_range(p, 3, 4, "[3]\n");
    expect_range(p, 4, 5, "4\n");
    expect_range(p, 0, 1, "0\n");
    expect_range(p, 2, 5, "2\n[3]\n4\n");
    expect_range(p, 1, 2, "\"one\"\n");
    payload_free(p);
    assert_no_leaks();
}

Test(payload, items_are_added_one_after_the_other_with_gaps)
{
    struct payload *p = five();
    struct payload *part = payload_add(NULL, p, 0, 1);
    cr_assert_eq(payload_add(part, p, 1, 2), part);
    cr_assert_eq(payload_add(part, p, 3, 4), part);
    cr_assert_eq(payload_add(part, p, 4, 5), part);
    payload_free(p);
    cr_assert_eq(part->count, 4);
    expect_range(part, 0, 4, "0\n\"one\"\n[3]\n4\n");
    expect_range(part, 2, 3, "[3]\n");
    payload_free(part);
    assert_no_leaks();
}

Test(payload, a_few_items_do_not_keep_the_bytes_of_a_whole_chunk)
{
    struct buf lines = {0};
    for (unsigned i = 0; i < 1000; i++) buf_addf(&lines, "%03u\n", i);
    struct payload *p = payload_new(&lines, 1000);
    struct payload *few = payload_add(NULL, p, 500, 510), *many = payload_add(NULL, p, 500, 1000);
    cr_assert_neq(few->shared, p->shared);
    cr_assert_eq(many->shared, p->shared);
    payload_free(p);
    expect_range(few, 0, 2, "500\n501\n");
    expect_range(many, 499, 500, "999\n");
    payload_free(few);
    payload_free(many);
    assert_no_leaks();
}

Test(payload, slices_outlive_what_they_were_cut_from)
{
    struct payload *p = five();
    struct payload *part = payload_add(NULL, p, 1, 4);
    payload_free(p);
    struct payload *one = payload_add(NULL, part, 2, 3);
    expect_range(part, 0, 3, "\"one\"\n2\n[3]\n");
    payload_free(part);
    expect_range(one, 0, 1, "[3]\n");
    payload_free(one);
    payload_free(NULL);
    assert_no_leaks();
}
