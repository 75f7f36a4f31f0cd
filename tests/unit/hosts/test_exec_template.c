/* The placeholders in a command, and rows of values. */
#include <criterion/criterion.h>

#include "hosts/exec_template.h"
#include "unit/leaks.h"

static const struct exec_markers all = {.value = "{}"};

/* Returns the arguments of the command for the row, joined with "|". The fields of `more` that the caller of
 * exec_template_init() may set are used. The result is valid until the next call. */
static const char *arguments_of(const struct exec_template *more, char **argv, const struct exec_markers *m,
                                bool append, const char *row)
{
    static char joined[1000];
    struct exec_template t;
    struct exec_args args = {0};
    struct exec_row r = {0};
    const char *why;
    cr_assert(exec_row_parse(&r, row, strlen(row), &why), "%s", row);
    exec_template_init(&t, argv, m, append);
    t.repeats = more->repeats;
    t.quotes = more->quotes;
    t.shell = more->shell;
    t.blanks = more->blanks;
    t.total = more->total;
    t.quotes_words = more->quotes_words;
    exec_args_build(&args, &t, &r);
    joined[0] = '\0';
    size_t len = 0;
    for (char **at = args.argv; *at; at++)
        len += (size_t)snprintf(joined + len, sizeof(joined) - len, "%s%s", at == args.argv ? "" : "|", *at);
    exec_template_release(&t);
    exec_args_release(&args);
    exec_row_release(&r);
    return joined;
}

static const char *arguments(char **argv, const struct exec_markers *m, bool append, const char *row)
{
    return arguments_of(&(struct exec_template){0}, argv, m, append, row);
}

#define WORDS(...) ((char *[]){__VA_ARGS__, NULL})

/* Each case is a name, and what GNU parallel puts in place of {.}, {/}, {//} and {/.} for this name. */
Test(exec_template, names_are_cut_as_gnu_parallel_cuts_them)
{
    static const char *const cases[][2] = {
        {"a/b.tar.gz", "a/b.tar|b.tar.gz|a|b.tar"},
        {"x", "x|x|.|x"},
        {".bashrc", "|.bashrc|.|"},
        {"a.b/c", "a.b/c|c|a.b|c"},
        {"/", "/||/|"},
        {"/x", "/x|x|/|x"},
        {"dir/", "dir/||.|"},
        {"a/.b", "a/|.b|a|"},
        {"dir.d/", "dir.d/||.|"},
        {"//", "//||/|"},
        {"a//b", "a//b|b|a|b"},
        {"", "||.|"},
        {"../y.z", "../y|y.z|..|y"},
        {"a.", "a|a.|.|a"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char row[100];
        snprintf(row, sizeof(row), "[0,\"%s\"]", cases[i][0]);
        const char *got = arguments(WORDS("{.}", "{/}", "{//}", "{/.}"), &all, false, row);
        cr_expect_str_eq(got, cases[i][1], "%s: %s", cases[i][0], got);
    }
}

Test(exec_template, values_have_numbers)
{
    const char *row = "[6,\"a/b.c\",\"d e\",12]";
    cr_assert_str_eq(arguments(WORDS("p", "{2}{1/.}-{3}", "{1//}{#}"), &all, true, row), "p|d eb-12|a7");
    cr_assert_str_eq(arguments(WORDS("p", "{4}", "x{4}{1}", "{0}", "{1"), &all, false, row), "p|{4}|x{4}a/b.c|{0}|{1");
    cr_assert_str_eq(arguments(WORDS("p", "a{2}"), &all, true, "[0,\"x\"]"), "p|a{2}|x");
    cr_assert_str_eq(arguments(WORDS("p", "{99999999999999999999}", "{1#}"), &all, false, row),
                     "p|{99999999999999999999}|{1#}");
}

Test(exec_template, values_are_counted_from_the_end)
{
    const struct exec_template blanks = {.blanks = true};
    cr_expect_str_eq(arguments(WORDS("{-1}{-2.}", "{-3}", "{-0}", "{-}", "{-#}"), &all, false, "[0,\"a.b\",\"c\"]"),
                     "ca|{-3}|{-0}|{-}|{-#}");
    cr_expect_str_eq(arguments_of(&blanks, WORDS("<{-3}>", "{-1}"), &all, false, "[0,\"a\",\"c\"]"), "<>|c");
    cr_expect_str_eq(arguments(WORDS("{-2}"), &all, true, "[0,\"a\"]"), "{-2}|a");
}

Test(exec_template, there_are_more_placeholders_with_plus)
{
    const struct exec_markers plus = {.value = "{}", .plus = true};
    const struct exec_template total = {.total = 7};
    const char *row = "[0,\"d/s/f.a.b.c\",\"f\"]";
    cr_expect_str_eq(arguments(WORDS("{1..}", "{1...}", "{1/..}", "{1/...}", "{1+.}", "{1+..}", "{1+...}", "{1+/}"),
                               &plus, false, row),
                     "d/s/f.a|d/s/f|f.a|f|c|b.c|a.b.c|d/s");
    cr_expect_str_eq(arguments(WORDS("{2..}", "{2+.}", "x{2+/}"), &plus, false, row), "f||x");
    cr_expect_str_eq(arguments(WORDS("{1%.c}{-1^f}", "{2%(}"), &plus, false, row), "d/s/f.a.bF|{2%(}");
    cr_expect_str_eq(arguments(WORDS("{..}", "{+.}", "{%.c}"), &all, false, row), "{..}|{+.}|{%.c}");
    cr_expect_str_eq(arguments_of(&total, WORDS("{#}/{##}"), &plus, true, row), "1/7");
    assert_no_leaks();
}

Test(exec_template, words_may_be_quoted_with_their_values)
{
    struct exec_template quoted = {.shell = (char[]){"sh"}, .quotes_words = true, .blanks = true};
    const char *row = "[0,\"a\",\"*\"]";
    cr_expect_str_eq(arguments_of(&quoted, WORDS("x y", "{1}{1}", "b{2}", "{3}", "c{}d", "{}"), &all, false, row),
                     "sh|-c|'x y' aa 'b*' '' ca '*d' a '*'");
    quoted.repeats = true;
    cr_expect_str_eq(arguments_of(&quoted, WORDS("e", "c{}d"), &all, false, row), "sh|-c|e cad 'c*d'");
    assert_no_leaks();
}

Test(exec_template, without_a_number_a_placeholder_stands_for_all_values)
{
    const char *row = "[0,\"a/b.c\",\"d e\"]";
    cr_assert_str_eq(arguments(WORDS("p", "{}", "x{}y", "{/.}"), &all, true, row), "p|a/b.c|d e|xa/b.c d ey|b|d e");
    cr_assert_str_eq(arguments(WORDS("p", "q"), &all, true, row), "p|q|a/b.c|d e");
    cr_assert_str_eq(arguments(WORDS("p", "{#}"), &all, true, row), "p|1");
    cr_assert_str_eq(arguments(WORDS("p", "q"), &all, false, row), "p|q");
}

Test(exec_template, a_placeholder_in_a_value_is_text)
{
    cr_assert_str_eq(arguments(WORDS("p", "{}", "{1}{}"), &all, true, "[0,\"{#}{}{1}\"]"),
                     "p|{#}{}{1}|{#}{}{1}{#}{}{1}");
}

Test(exec_template, another_word_may_stand_for_the_value)
{
    const struct exec_markers at = {.value = "@@"}, only = {.value = "{}", .only_value = true};
    cr_assert_str_eq(arguments(WORDS("p", "{}", "x@@@@y", "{.}"), &at, true, "[0,\"a.b\"]"), "p|{}|xa.ba.by|a");
    cr_assert_str_eq(arguments(WORDS("p", "{}", "{.}{1}{#}"), &only, true, "[0,\"a.b\"]"), "p|a.b|{.}{1}{#}");
    assert_no_leaks();
}

Test(exec_template, a_row_is_an_array_of_an_index_and_values)
{
    static const char *const bad[] = {"[]",     "[1]",     "7",  "\"a\"",          "[\"a\",1]",
                                      "[-1,2]", "[1.5,2]", "{}", "[1,\"\\ud800\"]"};
    struct exec_row r = {0};
    const char *why;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        cr_expect_not(exec_row_parse(&r, bad[i], strlen(bad[i]), &why), "%s", bad[i]);
    const char *row = "[18446744073709551615,\"a,]\\\"\\u00e4\",{\"b\":[1,2]},[\"\\\\\"],null]";
    cr_assert(exec_row_parse(&r, row, strlen(row), &why));
    cr_assert_eq(r.index, UINT64_MAX);
    cr_assert_eq(r.count, 4);
    cr_assert_str_eq(exec_row_text(&r, 0), "a,]\"\xC3\xA4");
    cr_assert_str_eq(exec_row_text(&r, 1), "{\"b\":[1,2]}");
    cr_assert_str_eq(exec_row_text(&r, 2), "[\"\\\\\"]");
    cr_assert_str_eq(exec_row_text(&r, 3), "null");
    exec_row_release(&r);
    assert_no_leaks();
}

Test(exec_template, a_value_that_the_row_lacks_may_be_empty)
{
    const struct exec_template blanks = {.blanks = true};
    cr_assert_str_eq(arguments_of(&blanks, WORDS("p", "{2}", "x{2.}{1}"), &all, true, "[0,\"a\"]"), "p||xa");
    cr_assert_str_eq(arguments_of(&blanks, WORDS("p"), &all, true, "[0,\"a\"]"), "p|a");
    assert_no_leaks();
}

Test(exec_template, a_word_may_be_repeated_for_each_value)
{
    const struct exec_template repeats = {.repeats = true};
    const char *row = "[0,\"a.c\",\"b\"]";
    cr_assert_str_eq(arguments_of(&repeats, WORDS("p", "x{}-{1}-{.}", "{}", "{2}"), &all, true, row),
                     "p|xa.c-a.c-a|xb-a.c-b|a.c|b|b");
    assert_no_leaks();
}

Test(exec_template, a_shell_gets_the_words_with_quoted_values)
{
    static char sh[] = "/bin/sh";
    struct exec_template shell = {.shell = sh, .quotes = true};
    const char *row = "[0,\"a b\",\"it's\"]";
    cr_assert_str_eq(arguments_of(&shell, WORDS("echo", "{1}", "x{}", "", "|", "wc"), &all, true, row),
                     "/bin/sh|-c|echo 'a b' x'a b' 'it'\"'\"'s'  | wc");
    cr_assert_str_eq(arguments_of(&shell, WORDS("echo"), &all, true, row), "/bin/sh|-c|echo 'a b' 'it'\"'\"'s'");
    cr_assert_str_eq(arguments_of(&shell, WORDS("echo", "$HOME"), &all, false, row), "/bin/sh|-c|echo $HOME");
    shell.repeats = true;
    cr_assert_str_eq(arguments_of(&shell, WORDS("echo", "x{}y"), &all, true, row),
                     "/bin/sh|-c|echo x'a b'y x'it'\"'\"'s'y");
    assert_no_leaks();
}
