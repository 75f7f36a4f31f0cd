/* The placeholders that change a value. */
#include <criterion/criterion.h>

#include "hosts/runs/value_edit.h"
#include "unit/leaks.h"

static void assert_edited(const char *place, const char *value, const char *wanted)
{
    struct buf out = {0};
    const char *end;
    struct value_edit *e = value_edit_parse(place, &end);
    cr_assert(e, "%s", place);
    cr_assert_eq(*end, '\0', "%s", place);
    value_edit_apply(e, value, strlen(value), &out);
    cr_expect_str_eq(buf_cstr(&out), wanted, "%s of %s: %s", place, value, buf_cstr(&out));
    value_edit_free(e);
    buf_release(&out);
}

Test(value_edit, values_are_changed_as_by_gnu_parallel)
{
    static const char *const cases[][3] = {
        {":-x}", "", "x"},
        {":-x}", "0", "x"},
        {":-x}", "00", "00"},
        {":2}", "abcde", "cde"},
        {":9}", "abcde", ""},
        {":2:3}", "abcdefg", "cde"},
        {":2:9}", "abc", "c"},
        {"#a.*}", "abab", "bab"},
        {"##.*a}", "ababb", "bb"},
        {"#b}", "abab", "abab"},
        {"#ab}", "abab", "ab"},
        {"#ababa}", "abab", "abab"},
        {"#.*/}", "a/b/c", "b/c"},
        {"#.*/}", "abc", "abc"},
        {"#a*}", "aab", "aab"},
        {"#a+}", "aab", "ab"},
        {"#a$}", "ab", "ab"},
        {"#a.*$}", "abc", ""},
        {"#ab|a}", "abc", "bc"},
        {"%ab}", "abab", "ab"},
        {"%%b}", "abb", "ab"},
        {"#.*a}", "bababab", "babab"},
        {"%a.}", "bababab", "babab"},
        {"%%a.*}", "bababab", "b"},
        {"%a}", "abab", "abab"},
        {"%x*}", "axx", "axx"},
        {"/a/X}", "baba", "bXba"},
        {"//a/X}", "baba", "bXbX"},
        {"//a/}", "baba", "bb"},
        {"//x*/-}", "ab", "-a-b-"},
        {"/#a/X}", "aba", "Xba"},
        {"/#b/X}", "aba", "aba"},
        {"/%a/X}", "aba", "abX"},
        {"^a}", "aab", "Aab"},
        {"^b}", "aab", "aab"},
        {"^^[ab]}", "abc", "ABc"},
        {",A}", "AAB", "aAB"},
        {",,[AB]}", "ABC", "abC"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) assert_edited(cases[i][0], cases[i][1], cases[i][2]);
    assert_no_leaks();
}

/* If each beginning of the value were matched separately, this test would take many minutes. */
Test(value_edit, the_shortest_beginning_of_a_long_value_is_found_soon)
{
    enum { LONG = 1000000 };
    char *value = xcalloc(1, LONG + 3);
    memset(value, 'x', LONG);
    assert_edited("#.*/}", value, value);
    memcpy(value + LONG, "/y", 2);
    assert_edited("#.*/}", value, "y");
    free(value);
}

Test(value_edit, other_text_is_no_placeholder)
{
    static const char *const cases[] = {"}",  "x}",  ":}",   ":-}", ":x}", ":1:}", ":1x}",  "#}", "##}",
                                        "%}", "/a}", "//x}", "#a",  "^}",  "%(}",  "/(/x}", ",}", "a.b}"};
    const char *end;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) cr_assert_null(value_edit_parse(cases[i], &end), "%s", cases[i]);
    assert_no_leaks();
}
