#include "common/json/encoding.h"

#include <criterion/criterion.h>

#define BYTES(text) text, sizeof(text) - 1

Test(encoding, each_is_known_by_its_mark_and_by_the_zeros_of_its_first_character)
{
    static const struct {
        const char *data;
        size_t len;
        enum encoding encoding;
    } cases[] = {
        {BYTES(""), ENCODING_UTF8},
        {BYTES("1"), ENCODING_UTF8},
        {BYTES("{}"), ENCODING_UTF8},
        {BYTES("\xC3\xA9t\xC3\xA9"), ENCODING_UTF8},
        {BYTES("\xEF\xBB"), ENCODING_UTF8},
        {BYTES("\xEF\xBB\xBF"), ENCODING_UTF8_MARKED},
        {BYTES("\xEF\xBB\xBF{}"), ENCODING_UTF8_MARKED},
        {BYTES("\xFF\xFE"), ENCODING_UTF16_LE},
        {BYTES("\xFF\xFE{\0}\0"), ENCODING_UTF16_LE},
        {BYTES("\xFE\xFF\0{\0}"), ENCODING_UTF16_BE},
        {BYTES("{\0}\0"), ENCODING_UTF16_LE},
        {BYTES("1\0"), ENCODING_UTF16_LE},
        {BYTES("\"\0\x1F\x04"), ENCODING_UTF16_LE},
        {BYTES("\0{\0}"), ENCODING_UTF16_BE},
        {BYTES("\0\"\x04\x1F"), ENCODING_UTF16_BE},
        {BYTES("\xFF\xFE\0\0{\0\0\0"), ENCODING_UTF32_LE},
        {BYTES("{\0\0\0"), ENCODING_UTF32_LE},
        {BYTES("\0\0\xFE\xFF\0\0\0{"), ENCODING_UTF32_BE},
        {BYTES("\0\0\0{"), ENCODING_UTF32_BE},
        {BYTES("\0\0\0\0"), ENCODING_UTF8},
        {BYTES("\n\0a\0"), ENCODING_UTF8},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        enum encoding e = encoding_of(cases[i].data, cases[i].len);
        cr_assert_eq(e, cases[i].encoding, "case %zu: %s", i, encoding_name(e));
        cr_assert_eq(encoding_is_wide(e), e >= ENCODING_UTF16_LE);
        for (size_t n = 0; n <= cases[i].len; n++) {
            bool decided = !encoding_needs_more(cases[i].data, n);
            if (decided) cr_assert_eq(encoding_of(cases[i].data, n), e, "case %zu, %zu bytes", i, n);
        }
        cr_assert_eq(encoding_mark_bytes(e), e == ENCODING_UTF8_MARKED ? 3 : 0);
    }
}

Test(encoding, text_ends_at_a_nul_byte_or_at_what_is_not_utf_8)
{
    static const struct {
        const char *data;
        size_t len, text;
    } cases[] = {
        {NULL, 0, 0},
        {BYTES("plain \"\\\n\x7F"), 10},
        {BYTES("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"), 9},
        {BYTES("a\0b"), 1},
        {BYTES("caf\xE9"), 3},
        {BYTES("caf\xE9\n"), 3},
        {BYTES("a\xC3"), 1},
        {BYTES("\xC0\x80"), 0},
        {BYTES("\"\xED\xA0\x80"), 1},
        {BYTES("\n\xF4\x90\x80\x80"), 1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        cr_assert_eq(encoding_text_length(cases[i].data, cases[i].len), cases[i].text, "case %zu", i);
}

Test(encoding, a_character_that_was_cut_is_dropped)
{
    char whole[] = "a\xe2\x82\xac", cut[] = "a\xe2\x82", empty[] = "";
    encoding_drop_cut(whole);
    cr_assert_str_eq(whole, "a\xe2\x82\xac");
    encoding_drop_cut(cut);
    cr_assert_str_eq(cut, "a");
    encoding_drop_cut(empty);
    cr_assert_str_eq(empty, "");
}
