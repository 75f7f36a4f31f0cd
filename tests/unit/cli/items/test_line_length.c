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
    line_length_measure(&l, &(struct line_words){.words = words, .marker = marker, .repeats = repeats});
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

/* Returns the length of the line with the values "ab" and "c". */
static size_t length_with(struct line_words w, char *const *words)
{
    struct line_length l;
    struct input_record r = {0};
    record_add(&r, "ab", 2);
    record_add(&r, "c", 1);
    w.words = words;
    line_length_measure(&l, &w);
    size_t len = l.fixed + line_length_of(&l, &r);
    record_release(&r);
    return len;
}

Test(line_length, the_quotes_around_words_count)
{
    const struct line_words repeated = {.repeats = true, .quotes_words = true}, joined = {.quotes_words = true};
    cr_assert_geq(length_with(repeated, WORDS("echo", "a b{}")), sizeof "echo 'a bab' 'a bc'");
    cr_assert_geq(length_with(joined, WORDS("echo", "a{}b")), sizeof "echo 'aab cb'");
    cr_assert_geq(length_with(repeated, WORDS("echo", "''{}")), sizeof "echo \"'\"\"'\"'ab' \"'\"\"'\"'c'");
    assert_no_leaks();
}

Test(line_length, more_placeholders_count_as_the_whole_value)
{
    const struct line_words plus = {.repeats = true, .plus = true}, plain = {.repeats = true};
    cr_assert_eq(length_with(plus, WORDS("echo", "x{..}{+/}y")), sizeof "echo xababy xccy");
    cr_assert_geq(length_with(plus, WORDS("echo", "{/b/long}")), sizeof "echo along c");
    cr_assert_geq(length_with(plus, WORDS("echo", "{:-none}")), sizeof "echo none none");
    cr_assert_eq(length_with(plus, WORDS("echo", "{}{#}")), length_with(plain, WORDS("echo", "{}{#}")));
    cr_assert_eq(length_with(plain, WORDS("echo", "{..}")), sizeof "echo {..} ab c");
    assert_no_leaks();
}
