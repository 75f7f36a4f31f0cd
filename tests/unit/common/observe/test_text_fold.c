/* The text of --help in a narrow terminal. */
#include <criterion/criterion.h>

#include "common/observe/text_fold.h"
#include "unit/leaks.h"

static void expect(const char *text, unsigned width, const char *folded)
{
    struct buf out = {0};
    text_fold_add(&out, text, width);
    cr_expect_str_eq(buf_cstr(&out), folded);
    buf_release(&out);
    assert_no_leaks();
}

Test(text_fold, a_paragraph_is_folded_as_a_whole)
{
    expect("one two three four\nfive six\n\nseven", 14, "one two three\nfour five six\n\nseven\n");
    expect("one two\nthree", 40, "one two three\n");
    expect("one two  three", 40, "one two  three\n");
}

Test(text_fold, a_line_of_the_full_width_is_not_folded)
{
    expect("one two", 7, "one two\n");
    expect("one two", 6, "one\ntwo\n");
}

Test(text_fold, an_example_stays_a_line_and_its_rest_is_indented)
{
    expect("Examples:\n  a b\n  c d\n", 40, "Examples:\n  a b\n  c d\n");
    expect("  one two three", 10, "  one two\n    three\n");
    expect("  one two three four      five six", 22, "  one two three four\n    five six\n");
}

Test(text_fold, the_remark_in_a_row_of_a_table_keeps_its_column)
{
    expect("  one      two three", 16, "  one      two\n           three\n");
}

Test(text_fold, a_word_that_is_too_long_is_not_cut)
{
    expect("a wonderful b", 5, "a\nwonderful\nb\n");
    expect("wonderful", 5, "wonderful\n");
    expect("", 5, "");
    expect("\n\n", 5, "\n\n");
}
