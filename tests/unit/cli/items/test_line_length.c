/* How long a command line becomes. */
#include <criterion/criterion.h>

#include "cli/items/line_length.h"
#include "unit/leaks.h"

#define WORDS(...) ((char *[]){__VA_ARGS__, NULL})

/* Returns the length of the line with the values "ab" and "it's". */
static size_t length(char *const *words, const char *marker, bool repeats, bool quoted)
{
    struct line_length l;
    struct input_record r = {0};
    record_add(&r, "ab", 2);
    record_add(&r, "it's", 4);
    line_length_measure(&l, words, marker, repeats, false);
    l.quoted = quoted;
    size_t len = l.fixed + line_length_of(&l, &r);
    record_release(&r);
    return len;
}

Test(line_length, the_end_of_each_word_counts)
{
    cr_assert_eq(length(WORDS("echo"), NULL, false, false), sizeof "echo ab it's");
    cr_assert_eq(length(WORDS("echo", "{}", "x"), NULL, false, false), sizeof "echo ab it's x");
    cr_assert_eq(length(WORDS("echo", "{}", "x"), NULL, true, false), sizeof "echo ab it's x");
    cr_assert_eq(length(WORDS("echo", "{1}"), NULL, false, false), sizeof "echo {1} ab it's");
}

Test(line_length, a_number_counts_with_all_its_possible_digits)
{
    cr_assert_eq(length(WORDS("echo", "{}", "{#}-"), NULL, true, false), sizeof "echo ab it's 18446744073709551615-");
    cr_assert_eq(length(WORDS("echo", "{}{%}"), NULL, false, false), sizeof "echo ab it's 18446744073709551615");
}

Test(line_length, a_word_is_repeated_or_gets_all_values)
{
    cr_assert_eq(length(WORDS("echo", "x{}y"), NULL, true, false), sizeof "echo xaby xit'sy");
    cr_assert_eq(length(WORDS("echo", "x{.}-{/}"), NULL, true, false), sizeof "echo xab-ab xit's-it's");
    size_t joined = length(WORDS("echo", "x{}y"), NULL, false, false);
    cr_assert_geq(joined, sizeof "echo xab it'sy");
    cr_assert_leq(joined, sizeof "echo xab it'sy" + 1);
}

Test(line_length, another_marker_and_quotes_count)
{
    cr_assert_eq(length(WORDS("echo", "@{}"), "@", true, false), sizeof "echo ab{} it's{}");
    cr_assert_geq(length(WORDS("echo"), NULL, false, true), sizeof "echo ab 'it'\"'\"'s'");
    assert_no_leaks();
}

/* Returns the length of the line with the values "ab" and "c", if its words are quoted. */
static size_t length_of_quoted(char *const *words, bool repeats)
{
    struct line_length l;
    struct input_record r = {0};
    record_add(&r, "ab", 2);
    record_add(&r, "c", 1);
    line_length_measure(&l, words, NULL, repeats, true);
    size_t len = l.fixed + line_length_of(&l, &r);
    record_release(&r);
    return len;
}

Test(line_length, the_quotes_around_words_count)
{
    cr_assert_geq(length_of_quoted(WORDS("echo", "a b{}"), true), sizeof "echo 'a bab' 'a bc'");
    cr_assert_geq(length_of_quoted(WORDS("echo", "a{}b"), false), sizeof "echo 'aab cb'");
    cr_assert_geq(length_of_quoted(WORDS("echo", "''{}"), true), sizeof "echo \"'\"\"'\"'ab' \"'\"\"'\"'c'");
    assert_no_leaks();
}
