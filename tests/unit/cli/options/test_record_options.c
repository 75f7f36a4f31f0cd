/* The options that say how lines become items, and how these options change the words of a command. */
#include <criterion/criterion.h>

#include "cli/options/record_options.h"
#include "unit/leaks.h"

#define WORDS(...) ((char *[]){__VA_ARGS__, NULL})

static const char *joined(char **words)
{
    static char text[200];
    text[0] = '\0';
    for (size_t len = 0; *words; words++) len += (size_t)snprintf(text + len, sizeof text - len, "[%s]", *words);
    return text;
}

static void assert_cut(char **words, const char *wanted)
{
    struct record_words w = {0};
    record_words_cut(&w, &words);
    cr_assert_str_eq(joined(words), wanted);
    record_words_release(&w);
}

Test(record_options, shell_code_is_cut_at_each_space)
{
    assert_cut(WORDS("echo {} | wc", "-c"), "[echo][{}][|][wc][-c]");
    assert_cut(WORDS("  a  b ", ""), "[  a][][b][][]");
    assert_cut(WORDS(""), "[]");
    assert_cut(WORDS("  "), "[  ]");
    assert_no_leaks();
}

Test(record_options, names_are_numbered_before_the_words_are_cut)
{
    struct header_names names = {0};
    struct record_words w = {0};
    char **words = WORDS("echo {long name} {x}");
    const char *tag = "{long name/}:";
    record_add(&names.names, "long name", 9);
    record_words_number(&w, &names, &words, &tag);
    record_words_cut(&w, &words);
    cr_assert_str_eq(joined(words), "[echo][{1}][{x}]");
    cr_assert_str_eq(tag, "{1/}:");
    record_words_release(&w);
    header_names_release(&names);
    assert_no_leaks();
}

Test(record_options, a_value_may_end_with_any_byte)
{
    static const struct option_spec spec = {.program = "test"};
    static const struct {
        const char *text;
        int byte; /* -1: refused */
    } cases[] = {{",", ','},     {"\\0", 0},     {"\\n", '\n'},   {"\\t", '\t'}, {"\\x1f", 0x1f},
                 {"\\101", 'A'}, {"\\\\", '\\'}, {"\\xff", 0xff}, {"", -1},      {"ab", -1},
                 {"\\", -1},     {"\\q", -1},    {"\\x", -1},     {"\\400", -1}, {"\\x1g", -1}};
    const struct record_context context = {.text = true};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct record_options o = {.delimiter = cases[i].text};
        bool good = record_options_check(&o, &spec, &context) == 0;
        cr_assert_eq(good, cases[i].byte >= 0, "%s", cases[i].text);
        if (good) cr_assert_eq((unsigned char)o.delimiter_byte, cases[i].byte, "%s", cases[i].text);
        if (good) cr_assert_eq(record_options_ends_otherwise(&o), cases[i].byte != '\n');
    }
}

Test(record_options, the_plan_says_how_many_records_make_an_item)
{
    char *words[] = {"echo", "{}", NULL};
    const struct record_context c = {.text = true, .command = words, .slots = 4};
    struct record_plan p;
    record_options_plan(&(struct record_options){.group = 3}, &c, &p);
    cr_assert(p.group_max == 3 && p.length_max == RECORD_LINE_BYTES && p.shares == 0 && p.rows);
    record_options_plan(&(struct record_options){.many = true, .max_chars = 99}, &c, &p);
    cr_assert(p.group_max == 0 && p.length_max == 99 && p.shares == 4);
    record_options_plan(&(struct record_options){.colsep = ","}, &c, &p);
    cr_assert(p.group_max == 0 && p.length_max == 0 && p.trims_left && p.trims_right && !p.header);
    record_options_plan(&(struct record_options){.group = 3}, &(struct record_context){0}, &p);
    cr_assert(p.group_max == 3 && p.length_max == 0 && !p.rows && p.values == ITEM_VALUES_JSON);
}

Test(record_options, the_large_n_repeats_words_unless_m_is_given)
{
    cr_assert(record_options_repeat(&(struct record_options){.group_words = 2}));
    cr_assert(record_options_repeat(&(struct record_options){.many_words = true}));
    cr_assert_not(record_options_repeat(&(struct record_options){.group_words = 2, .many = true}));
    cr_assert_not(record_options_repeat(&(struct record_options){.group = 2}));
}
