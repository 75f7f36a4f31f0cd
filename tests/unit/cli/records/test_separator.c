/* The separator of columns. */
#include <criterion/criterion.h>

#include "cli/records/separator.h"
#include "unit/leaks.h"

static const char *columns(const char *pattern, const char *line, bool trims)
{
    static char text[400];
    char err[200];
    struct separator s;
    struct input_record r = {0};
    struct buf out = {0};
    cr_assert(separator_init(&s, pattern, err, sizeof err), "%s: %s", pattern, err);
    s.trims_left = s.trims_right = trims;
    separator_cut(&s, line, strlen(line), &r);
    for (size_t i = 0; i < r.count; i++) {
        struct json_slice value = record_value(&r, i);
        buf_addf(&out, "[%.*s]", (int)value.len, value.data);
    }
    snprintf(text, sizeof text, "%s", buf_cstr(&out));
    buf_release(&out);
    record_release(&r);
    separator_release(&s);
    return text;
}

Test(separator, plain_text_separates)
{
    cr_assert_str_eq(columns(",", "a,b,,", false), "[a][b][][]");
    cr_assert_str_eq(columns("::", "a:b::c", false), "[a:b][c]");
    cr_assert_str_eq(columns("\\t", "a\tb", false), "[a][b]");
    cr_assert_str_eq(columns("\\|", "a|b", false), "[a][b]");
    cr_assert_str_eq(columns("\\.\\\\", "a.\\b", false), "[a][b]");
    cr_assert_str_eq(columns(",", "", false), "[]");
    assert_no_leaks();
}

Test(separator, a_regular_expression_separates)
{
    cr_assert_str_eq(columns("[0-9]+", "a1b22c", false), "[a][b][c]");
    cr_assert_str_eq(columns("\\d+", "a1b22c", false), "[a][b][c]");
    cr_assert_str_eq(columns(",\\s*", "a, b,c", false), "[a][b][c]");
    cr_assert_str_eq(columns("[\\t;]", "a\tb;c\\d", false), "[a][b][c\\d]");
    cr_assert_str_eq(columns("[]]", "a]b", false), "[a][b]");
    cr_assert_str_eq(columns("[a\\]]", "xay]z", false), "[x][y][z]");
    cr_assert_str_eq(columns("[\\^a]", "x^y", false), "[x][y]");
    cr_assert_str_eq(columns("[a\\-z]", "b-c", false), "[b][c]");
    cr_assert_str_eq(columns("[\\[:\\\\]", "b[c:d\\e", false), "[b][c][d][e]");
    cr_assert_str_eq(columns("[^]\\w]", "a b]c", false), "[a][b]c]");
    cr_assert_str_eq(columns("\\(|\\)", "a(b)c", false), "[a][b][c]");
    cr_assert_str_eq(columns(" +", "a   b c", false), "[a][b][c]");
    cr_assert_str_eq(columns("^x", "xaxa", false), "[][axa]");
    assert_no_leaks();
}

Test(separator, white_space_is_trimmed_if_asked)
{
    cr_assert_str_eq(columns(",", " a , b c\t", true), "[a][b c]");
    cr_assert_str_eq(columns(",", "  ", true), "[]");
    cr_assert_str_eq(columns(",", " a ,", false), "[ a ][]");
}

Test(separator, a_wrong_pattern_is_refused_with_its_reason)
{
    static const char *const cases[][2] = {
        {"(", "\"(\" is not a regular expression: Unmatched ( or \\("},
        {"a\\",
         "\"a\\\" is not a regular expression: a \\ must stand before a character, and \\D, \\S and \\W must stand "
         "outside of brackets"},
        {"[\\D]",
         "\"[\\D]\" is not a regular expression: a \\ must stand before a character, and \\D, \\S and \\W must "
         "stand outside of brackets"},
        {"|", "\"|\" matches the empty text, so it separates nothing. For the character | write \\|"},
        {"x*", "\"x*\" matches the empty text, so it separates nothing"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char err[200];
        struct separator s;
        cr_assert_not(separator_init(&s, cases[i][0], err, sizeof err), "%s", cases[i][0]);
        cr_assert_str_eq(err, cases[i][1]);
    }
    assert_no_leaks();
}
