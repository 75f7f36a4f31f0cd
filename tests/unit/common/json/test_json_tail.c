#include <criterion/criterion.h>

#include "common/json/json_scan.h"
#include "common/json/json_tail.h"
#include "unit/leaks.h"

static void expect(const char *text, size_t max_bytes, const char *json)
{
    struct buf out = {0};
    json_tail_add(&out, text, strlen(text), max_bytes);
    cr_expect_str_eq(buf_cstr(&out), json);
    buf_release(&out);
    assert_no_leaks();
}

Test(json_tail, a_text_that_fits_is_whole)
{
    expect("", 2, "\"\"");
    expect("a\nb", 6, "\"a\\nb\"");
}

Test(json_tail, of_a_long_text_the_end_is_left)
{
    struct buf out = {0};
    static char text[100000];
    for (unsigned step = 1; step < 40; step += 3) {
        for (size_t i = 0; i < sizeof text; i++) text[i] = (char)(i % step ? 1 : 'x');
        buf_clear(&out);
        json_tail_add(&out, text, sizeof text, 10000);
        cr_expect_leq(out.len, 10000);
        cr_expect_geq(out.len, 5000);
        size_t offset;
        const char *why;
        cr_expect(json_valid(out.data, out.len, &offset, &why));
    }
    buf_release(&out);
    assert_no_leaks();
}

Test(json_tail, no_character_is_cut_in_two)
{
    char text[301] = "";
    for (int i = 0; i < 100; i++) memcpy(text + 3 * i, "\u20ac", 3);
    for (size_t most = 2; most < 100; most++) {
        struct buf out = {0};
        json_tail_add(&out, text, 300, most);
        cr_expect_leq(out.len, most);
        cr_expect_eq((out.len - 2) % 3, 0);
        cr_expect_null(strstr(buf_cstr(&out), "\ufffd"));
        buf_release(&out);
    }
    assert_no_leaks();
}
