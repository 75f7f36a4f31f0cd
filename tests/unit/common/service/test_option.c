#include "common/service/option_print.h"

#include <stdarg.h>

#include "unit/leaks.h"

#include <criterion/redirect.h>

struct config {
    bool loud, tidy;
    int64_t count, bytes, port;
    double drain_s;
    struct option_words words;
    const char *name, *path, *list;
    int level;
};

static const char *const levels[] = {"low", "high", NULL};
static const struct option_row rows[] = {
    OPTION_HEADING("Things"),
    OPTION_BOOL("loud", struct config, loud, NULL, "say more", .letter = 'l'),
    OPTION_BOOL("tidy", struct config, tidy, "true", "clean up"),
    OPTION_INT("count", struct config, count, "7", 1, 64, "how many", .letter = 'n'),
    OPTION_BYTES("bytes", struct config, bytes, "1K", 0, 1 << 30, "how much"),
    OPTION_PORT("admin-port", struct config, port, "9080", -1, "where"),
    OPTION_SECONDS("drain-s", struct config, drain_s, "30", 0, 100, "how long"),
    OPTION_STRING("name", struct config, name, NULL, "whose", .no_env = true),
    OPTION_PATH("path", struct config, path, NULL, "a file"),
    OPTION_STRING("list", struct config, list, NULL, "several", .once = true),
    OPTION_WORDS("word", struct config, words, "each"),
    OPTION_CHOICE("level", struct config, level, "high", levels, "how high"),
    OPTION_ROWS_END};

static struct option_spec spec = {
    .program = "prog", .usage = "[option...]", .about = "Does things.", .epilogue = "See also.", .rows = rows};
static struct config c;
static struct option_result r;
static int argc;
static char *argv[16];

static bool parse(const char *first, ...)
{
    va_list args;
    va_start(args, first);
    argc = 0;
    argv[argc++] = xstrdup("prog");
    for (const char *arg = first; arg; arg = va_arg(args, const char *)) argv[argc++] = xstrdup(arg);
    va_end(args);
    return option_parse(&spec, &c, argc, argv, &r);
}

static void forget(void)
{
    while (argc) free(argv[--argc]);
}

static void finish(void)
{
    forget();
    assert_no_leaks();
}

/* Checks that the text on standard error or standard output, which Criterion has redirected, contains these words. */
static void assert_said(FILE *f, const char *words)
{
    char text[8192];
    fflush(stdout);
    fflush(stderr);
    size_t len = fread(text, 1, sizeof text - 1, f);
    text[len] = '\0';
    cr_assert(strstr(text, words), "\"%s\" is not in: %s", words, text);
}

TestSuite(option, .timeout = 30);

Test(option, without_flags_the_defaults_hold)
{
    cr_assert(parse(NULL));
    cr_assert(!c.loud && c.tidy && c.count == 7 && c.bytes == 1024 && c.port == 9080 && c.drain_s == 30);
    cr_assert(!c.name && !c.path && c.level == 1);
    cr_assert_eq(r.first_operand, argc);
    finish();
}

Test(option, flags_set_their_fields_in_every_spelling)
{
    cr_assert(parse("--loud", "--no-tidy", "--count", "3", "--bytes=2MiB", "--admin-port", "off", "--drain-s=0.5",
                    "--name", "", "--path=/x", "--level", "low", NULL));
    cr_assert(c.loud && !c.tidy && c.count == 3 && c.bytes == 2 << 20 && c.port == -1 && c.drain_s == 0.5);
    cr_assert(*c.name == '\0' && strcmp(c.path, "/x") == 0 && c.level == 0);
    forget();
    cr_assert(parse("-ln4", "--tidy=off", NULL));
    cr_assert(c.loud && c.count == 4 && !c.tidy);
    forget();
    cr_assert(parse("-n", "5", "--loud=no", NULL));
    cr_assert(c.count == 5 && !c.loud);
    finish();
}

Test(option, a_flag_wins_over_the_environment_and_that_over_the_default)
{
    setenv("FANTAIL_COUNT", "9", 1);
    setenv("FANTAIL_DRAIN_S", "5", 1);
    setenv("FANTAIL_NAME", "not asked", 1);
    setenv("FANTAIL_LEVEL", "", 1);
    cr_assert(parse("--count=10", NULL));
    cr_assert(c.count == 10 && c.drain_s == 5 && !c.name && c.level == 1);
    finish();
}

Test(option, bad_values_name_the_option_and_end_with_2, .init = cr_redirect_stderr)
{
    static const char *const bad[] = {
        "--count=0",       "--count=65",     "--count=x",    "--count=",      "--count=1x",
        "--bytes=1Q",      "--level=mid",    "--drain-s=-1", "--drain-s=nan", "--drain-s=0x5",
        "--drain-s=1e999", "--admin-port=x", "--loud=maybe", "--path=",       "--admin-port=65536"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        cr_assert(!parse(bad[i], NULL), "%s was taken", bad[i]);
        cr_assert_eq(r.exit_status, 2);
        forget();
    }
    assert_said(cr_get_redirected_stderr(), "prog: --count: must be a whole number from 1 to 64, not \"0\"\n");
    finish();
}

Test(option, a_bad_environment_variable_is_named, .init = cr_redirect_stderr)
{
    setenv("FANTAIL_LEVEL", "mid", 1);
    cr_assert(!parse(NULL) && r.exit_status == 2);
    assert_said(cr_get_redirected_stderr(), "--level: FANTAIL_LEVEL must be one of low, high, not \"mid\"");
    finish();
}

Test(option, unknown_and_incomplete_flags_end_with_2, .init = cr_redirect_stderr)
{
    static const char *const bad[] = {"--nope", "--nope=1", "-x", "--no-count", "--count", "stray", "--help=yes"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        cr_assert(!parse(bad[i], NULL) && r.exit_status == 2, "%s was taken", bad[i]);
        forget();
    }
    assert_said(cr_get_redirected_stderr(), "prog: --nope: unknown option; see prog --help\n");
    finish();
}

static const char *meant_by(const char *typed)
{
    static const char *const names[] = {"map", "jobs", "wait", "results", "redrive"};
    const char *meant = NULL;
    unsigned distance = OPTION_DISTANCE_FAR;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (option_is_nearer(typed, strlen(typed), names[i], &distance)) meant = names[i];
    return meant;
}

Test(option, the_most_similar_name_is_found)
{
    static const char *const words[][2] = {{"mapp", "map"},       {"mpa", "map"},      {"ap", "map"},
                                           {"jbs", "jobs"},       {"wiat", "wait"},    {"result", "results"},
                                           {"rsults", "results"}, {"rdrve", "redrive"}};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) cr_expect_str_eq(meant_by(words[i][0]), words[i][1]);
    static const char *const far[] = {"",      "m",    "top",       "list",
                                      "waste", "redo", "reslt-set", "a-name-that-is-longer-than-any-option"};
    for (size_t i = 0; i < ARRAY_SIZE(far); i++) cr_expect_null(meant_by(far[i]), "%s", far[i]);
}

Test(option, a_mistyped_option_is_answered_with_the_option_that_was_meant, .init = cr_redirect_stderr)
{
    cr_assert(!parse("--cuont=3", NULL) && r.exit_status == 2);
    forget();
    assert_said(cr_get_redirected_stderr(), "prog: --cuont: unknown option; did you mean --count? Otherwise see prog "
                                            "--help\n");
    finish();
}

Test(option, an_option_on_the_command_line_wins_over_the_variable_of_the_option_that_it_excludes)
{
    static const struct option_row of_times[] = {
        OPTION_INT("count", struct config, count, "7", 1, 64, "x"),
        OPTION_STRING("name", struct config, name, NULL, "x", .overrides = "count"), OPTION_ROWS_END};
    spec.rows = of_times;
    setenv("FANTAIL_COUNT", "9", 1);
    cr_assert(parse("--name", "a", NULL));
    cr_expect_eq(c.count, 7);
    forget();
    cr_assert(parse("--name", "a", "--count", "8", NULL));
    cr_expect_eq(c.count, 8, "the caller refuses both");
    forget();
    setenv("FANTAIL_NAME", "b", 1);
    cr_assert(parse(NULL));
    cr_expect_eq(c.count, 9, "two variables");
    unsetenv("FANTAIL_COUNT");
    unsetenv("FANTAIL_NAME");
    finish();
}

Test(option, options_with_the_same_beginning_are_suggested, .init = cr_redirect_stderr)
{
    static const struct option_row of_retries[] = {OPTION_BOOL("retries", struct config, loud, NULL, "x"),
                                                   OPTION_BOOL("retry-on", struct config, loud, NULL, "x"),
                                                   OPTION_BOOL("retain", struct config, loud, NULL, "x"),
                                                   OPTION_BOOL("max-concurrency", struct config, loud, NULL, "x"),
                                                   OPTION_BOOL("other", struct config, loud, NULL, "x"),
                                                   OPTION_BOOL("delay", struct config, loud, NULL, "x"),
                                                   OPTION_BOOL("delimiter", struct config, loud, NULL, "x"),
                                                   OPTION_ROWS_END};
    static const char *const guesses[][2] = {{"retry", "--retries or --retry-on"},
                                             {"ret", "--retries, --retry-on or --retain"},
                                             {"retres", "--retries"},
                                             {"max-conc", "--max-concurrency"},
                                             {"re", ""},
                                             {"max-attempts", ""},
                                             {"delim", "--delimiter"},
                                             {"dela", "--delay"},
                                             {"dlya", ""},
                                             {"dlayy", "--delay"},
                                             {"", ""}};
    spec.rows = of_retries;
    for (size_t i = 0; i < ARRAY_SIZE(guesses); i++) {
        struct buf meant = {0};
        option_guess(&spec, guesses[i][0], strlen(guesses[i][0]), &meant);
        cr_expect_str_eq(buf_cstr(&meant), guesses[i][1], "%s: %s", guesses[i][0], buf_cstr(&meant));
        buf_release(&meant);
    }
    finish();
}

Test(option, the_value_of_an_unknown_option_is_not_reported_too, .init = cr_redirect_stderr)
{
    cr_assert(!parse("--nope", "3", "-x", "4", "-y5", NULL) && r.exit_status == 2);
    forget();
    fflush(stderr);
    char text[400];
    text[fread(text, 1, sizeof text - 1, cr_get_redirected_stderr())] = '\0';
    cr_assert_str_eq(text, "prog: --nope: unknown option; see prog --help\n"
                           "prog: -x: unknown option; see prog --help\n"
                           "prog: -y: unknown option; see prog --help\n");
    finish();
}

Test(option, an_operand_is_answered_with_the_advice_of_the_program, .init = cr_redirect_stderr)
{
    spec.operand_advice = "give it with --name";
    cr_assert(!parse("stray", NULL) && r.exit_status == 2);
    assert_said(cr_get_redirected_stderr(), "unexpected argument \"stray\"; give it with --name; see prog --help\n");
    finish();
}

Test(option, a_list_that_is_given_twice_is_refused_and_another_option_is_overridden, .init = cr_redirect_stderr)
{
    cr_assert(parse("--name", "a", "--name=b", "--list", "c,d", NULL));
    cr_assert_str_eq(c.name, "b");
    cr_assert_str_eq(c.list, "c,d");
    forget();
    cr_assert(!parse("--list", "c", "--list=d", NULL) && r.exit_status == 2);
    forget();
    assert_said(cr_get_redirected_stderr(), "--list: is given twice");
    setenv("FANTAIL_LIST", "from-environment", true);
    cr_assert(parse("--list", "c", NULL));
    cr_assert_str_eq(c.list, "c");
    unsetenv("FANTAIL_LIST");
    finish();
}

Test(option, an_option_of_several_words_keeps_each_in_order, .init = cr_redirect_stderr)
{
    cr_assert(parse("--word", "a", "--count=2", "--word=b,c", NULL));
    cr_assert_eq(c.words.count, 2);
    cr_assert_str_eq(c.words.words[0], "a");
    cr_assert_str_eq(c.words.words[1], "b,c");
    cr_assert(parse(NULL));
    cr_assert_eq(c.words.count, 0);
    cr_assert(!parse("--word=", NULL) && r.exit_status == 2);
    assert_said(cr_get_redirected_stderr(), "--word: must be a non-empty text, given at most 16 times, not \"\"");
}

Test(option, operands_may_stand_anywhere_and_come_last)
{
    spec.operands = OPTION_OPERANDS_ANYWHERE;
    cr_assert(parse("one", "--count", "2", "two", "-l", "--", "--three", NULL));
    cr_assert_eq(c.count, 2);
    cr_assert_eq(r.first_operand, argc - 3);
    cr_assert_str_eq(argv[argc - 3], "one");
    cr_assert_str_eq(argv[argc - 2], "two");
    cr_assert_str_eq(argv[argc - 1], "--three");
    forget();
    cr_assert(parse("-", NULL));
    cr_assert_str_eq(argv[r.first_operand], "-");
    finish();
}

Test(option, parsing_stops_at_a_subcommand_when_asked)
{
    spec.operands = OPTION_OPERANDS_STOP;
    cr_assert(parse("--count=2", "map", "--nope", NULL));
    cr_assert_eq(c.count, 2);
    cr_assert_str_eq(argv[r.first_operand], "map");
    finish();
}

Test(option, help_shows_every_option_with_its_default, .init = cr_redirect_stdout)
{
    cr_assert(!parse("--help", NULL) && r.exit_status == 0);
    assert_said(cr_get_redirected_stdout(), "how many [7]");
    finish();
}

Test(option, version_is_printed, .init = cr_redirect_stdout)
{
    cr_assert(!parse("--version", NULL) && r.exit_status == 0);
    assert_said(cr_get_redirected_stdout(), "prog " FANTAIL_VERSION "\n");
    finish();
}

Test(option, print_config_tells_values_and_where_from, .init = cr_redirect_stdout)
{
    setenv("FANTAIL_DRAIN_S", "5", 1);
    cr_assert(!parse("--print-config", "--count=3", NULL) && r.exit_status == 0);
    assert_said(cr_get_redirected_stdout(),
                "count = 3  # --count\nbytes = 1024  # default\nadmin-port = 9080  # default\n"
                "drain-s = 5  # FANTAIL_DRAIN_S\nname =   # default\n");
    finish();
}

Test(option, a_required_option_is_asked_for, .init = cr_redirect_stderr)
{
    static const struct option_row needs[] = {
        OPTION_STRING("task", struct config, name, NULL, "which", .required = true), OPTION_ROWS_END};
    spec.rows = needs;
    cr_assert(!parse(NULL) && r.exit_status == 2);
    assert_said(cr_get_redirected_stderr(), "prog: --task: must be given");
    finish();
}
