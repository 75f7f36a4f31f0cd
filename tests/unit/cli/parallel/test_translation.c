/* Tests how a command line of GNU parallel becomes one of `fantail map`. */
#include <criterion/criterion.h>

#include "cli/parallel/place_words.h"
#include "cli/parallel/translation.h"
#include "unit/leaks.h"

#define WORDS(...) ((char *[]){__VA_ARGS__, NULL})

static const char *joined(const struct translation *t)
{
    static char text[1000];
    text[0] = '\0';
    size_t len = 0;
    for (int i = 0; i < t->argc; i++) len += (size_t)snprintf(text + len, sizeof text - len, "[%s]", t->argv[i]);
    return text;
}

static void assert_translated(const struct parallel_options *o, char **operands, const char *wanted)
{
    struct translation t;
    cr_assert(translation_make(&t, o, operands));
    cr_assert_str_eq(joined(&t), wanted);
    translation_release(&t);
}

#define START "[parallel]"
#define PLAIN "[--raw][--quiet][--order=completion]"

Test(translation, the_words_are_one_piece_of_shell_code)
{
    const struct parallel_options o = {0};
    assert_translated(&o, WORDS("echo", "a  b", ":::", "1", ":::+", "2"),
                      START PLAIN "[--shell][--][echo a  b][:::][1][:::+][2]");
    assert_translated(&o, WORDS(":::", "ls"), START PLAIN "[--shell][--][{}][:::][ls]");
    assert_translated(&o, WORDS(NULL), START PLAIN "[--shell][--][{}]");
    assert_no_leaks();
}

Test(translation, quoted_words_are_arguments)
{
    const struct parallel_options o = {.quote = true, .replace = ",", .number = "N"};
    struct translation t;
    assert_translated(&o, WORDS("echo", "a  N;", ""), START PLAIN "[--replace=,][--shell][--][echo][a  {#};][]");
    cr_assert(translation_make(&t, &o, WORDS("{}")));
    cr_assert(t.manner.quotes_words && !t.manner.is_code);
    translation_release(&t);
    assert_no_leaks();
}

Test(translation, other_words_may_stand_before_values)
{
    const struct parallel_options o = {.arg_sep = ",,", .arg_file_sep = "//"};
    assert_translated(&o, WORDS("x", ",,", "a", ",,+", "b", "//", "f", "//+", "g"),
                      START PLAIN "[--shell][--][x][:::][a][:::+][b][::::][f][::::+][g]");
    assert_no_leaks();
}

Test(translation, options_with_the_same_meaning)
{
    const struct parallel_options input = {.arg_files = {.words = {"f", "g"}, .count = 2},
                                           .delimiter = "\\0",
                                           .colsep = ",",
                                           .header = ":",
                                           .max_args = "2"};
    assert_translated(&input, WORDS("x"),
                      START "[--arg-file=f][--arg-file=g][--delimiter=\\0][--colsep=,][--header=:][--max-args=2]" PLAIN
                            "[--shell][--][x]");
    const struct parallel_options output = {
        .keep_order = true, .line_buffer = true, .tagstring = "T", .no_extension = "T", .joblog = "l", .resume = true};
    assert_translated(&output, WORDS("x"),
                      START
                      "[--raw][--quiet][--order=input][--tagstring={.}][--joblog=l][--resume=true][--shell][--][x]");
    const struct parallel_options control = {.jobs = "2", .timeout = "3", .retries = "4", .halt = "2", .nice = "5"};
    assert_translated(&control, WORDS("x"),
                      START PLAIN "[--jobs=2][--timeout=3][--retries=4][--halt=2][--nice=5][--shell][--][x]");
    assert_no_leaks();
}

Test(translation, as_many_values_as_fit)
{
    const struct parallel_options chars = {.max_chars = "9"}, both = {.max_chars = "9", .max_replace_args = "2"};
    const struct parallel_options fills = {.fills = true}, none = {.max_args = "0"};
    struct translation t;
    assert_translated(&chars, WORDS("x"), START PLAIN "[--shell][--][x]");
    assert_translated(&both, WORDS("x"), START "[--max-replace-args=2][--max-chars=9]" PLAIN "[--shell][--][x]");
    cr_assert(translation_make(&t, &fills, WORDS("x")));
    cr_assert(t.manner.fills);
    cr_assert_str_eq(joined(&t), START "[--many=true]" PLAIN "[--shell][--][x]");
    translation_release(&t);
    cr_assert(translation_make(&t, &none, WORDS("x")));
    cr_assert(t.manner.ignores_items);
    cr_assert_str_eq(joined(&t), START PLAIN "[--shell][--][x]");
    translation_release(&t);
    assert_no_leaks();
}

Test(translation, blocks_of_the_input)
{
    const struct parallel_options pipe = {.pipe = true, .block = "2M", .recstart = ">", .recend = ""};
    const struct parallel_options part = {.pipe_part = true, .pipe = true, .block = "2M", .many_words = true};
    const struct parallel_options records = {.pipe = true, .max_replace_args = "3", .header = ":", .max_chars = "9"};
    const struct parallel_options same = {.pipe = true, .max_args = "3"}, none = {.pipe = true, .max_args = "0"};
    assert_translated(&pipe, WORDS("x"),
                      START "[--pipe=true][--block=2M][--recstart=>][--recend=]" PLAIN "[--shell][--][x]");
    assert_translated(&part, WORDS("x"), START "[--pipepart=true][--block=2M]" PLAIN "[--shell][--][x]");
    assert_translated(&records, WORDS("x"),
                      START "[--header=:][--max-replace-args=3][--pipe=true]" PLAIN "[--shell][--][x]");
    assert_translated(&same, WORDS("x"), START "[--max-replace-args=3][--pipe=true]" PLAIN "[--shell][--][x]");
    assert_translated(&none, WORDS("x"), START "[--pipe=true]" PLAIN "[--shell][--][x]");
    assert_no_leaks();
}

Test(translation, what_no_option_of_map_says_is_in_the_manner)
{
    const struct parallel_options lines = {.pipe = true, .max_lines = "4"}, quoted = {.quotes_lines = true};
    const struct parallel_options slot = {.slot_name = "name", .host = ":"};
    struct translation t;
    cr_assert(translation_make(&t, &lines, WORDS("x")));
    cr_assert_eq(t.manner.record_lines, 4);
    cr_assert_str_eq(joined(&t), START "[--pipe=true]" PLAIN "[--shell][--][x]");
    translation_release(&t);
    cr_assert(translation_make(&t, &quoted, WORDS(NULL)));
    cr_assert(t.manner.quotes_lines);
    cr_assert_str_eq(joined(&t), START PLAIN "[--dry-run=true][--shell][--][{}]");
    translation_release(&t);
    cr_assert(translation_make(&t, &slot, WORDS("x")));
    cr_assert_str_eq(t.manner.slot_name, "name");
    cr_assert_str_eq(joined(&t), START PLAIN "[--shell][--][x]");
    translation_release(&t);
    assert_no_leaks();
}

Test(translation, values_are_code_if_the_command_begins_with_one)
{
    static const struct {
        const char *code, *header;
        bool is_code;
    } cases[] = {
        {"{}", NULL, true},       {"{} x", NULL, true},  {"my_{2/.} x", NULL, true}, {"{-1}", NULL, true},
        {"echo {}", NULL, false}, {"x={}", NULL, false}, {"a\t{}", NULL, false},     {"{x}", NULL, false},
        {"{x}", ":", true},       {"{a;}", NULL, false}, {"{#}", NULL, true},        {"{2x}", NULL, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct parallel_options o = {.header = cases[i].header};
        struct translation t;
        cr_assert(translation_make(&t, &o, WORDS((char *)(uintptr_t)cases[i].code)));
        cr_assert_eq(t.manner.is_code, cases[i].is_code, "%s", cases[i].code);
        translation_release(&t);
    }
    assert_no_leaks();
}

Test(translation, what_cannot_be_done_is_refused)
{
    const struct parallel_options plain = {0}, plus = {.plus = true}, tag = {.tagstring = "{= 1 =}"},
                                  quote = {.quote = true};
    const struct parallel_options blocks = {.pipe = true}, lines = {.pipe = true, .max_lines = "0"};
    const struct parallel_options host = {.host = "x"}, slot = {.slot_name = "a=b"};
    const struct {
        const struct parallel_options *options;
        char **operands;
        const char *why;
    } cases[] = {
        {&plain, WORDS("echo", "{= $_++ =}"),
         "{= =}: fantail runs no Perl. Edit or test the value in the command, for example with sed or ${name%.*}"},
        {&tag, WORDS("echo"),
         "{= =}: fantail runs no Perl. Edit or test the value in the command, for example with sed or ${name%.*}"},
        {&plus, WORDS("echo {1uniq}"), "--plus: the placeholder uniq} is not supported"},
        {&blocks, WORDS(NULL), "--pipe: needs a command"},
        {&lines, WORDS("x"), "-L: must be a whole number from 1 to 1000000000, not \"0\""},
        {&host, WORDS("x"),
         "-S: may only be :, because a command runs on this machine only. Tasks run on other machines: `fantail map "
         "TASK "
         "--url URL`"},
        {&slot, WORDS("x"), "--process-slot-var: must be the name of a variable"},
        {&quote, WORDS(":::", "x"), "--quote: needs a command"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct translation t;
        cr_assert_not(translation_make(&t, cases[i].options, cases[i].operands));
        cr_assert_str_eq(t.why, cases[i].why);
        translation_release(&t);
    }
    assert_no_leaks();
}
