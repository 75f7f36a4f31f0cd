#include <criterion/criterion.h>

#include "coordinator/items/payload.h"
#include "unit/leaks.h"

static struct payload *five(void)
{
    struct buf lines = {0};
    buf_add_str(&lines, "0\n\"one\"\n2\n[3]\n4\n");
    return payload_new(&lines, 5);
}

static void expect_range(const struct payload *p, uint64_t from, uint64_t to, const char *text)
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

Test(payload, slices_outlive_what_they_were_cut_from)
{
    struct payload *p = five();
    struct payload *part = payload_slice(p, 1, 3);
    payload_free(p);
    struct payload *one = payload_slice(part, 2, 1);
    expect_range(part, 0, 3, "\"one\"\n2\n[3]\n");
    payload_free(part);
    expect_range(one, 0, 1, "[3]\n");
    payload_free(one);
    payload_free(NULL);
    assert_no_leaks();
}
