#include "cli/map/map_options.h"

#include <unistd.h>

#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/base/program.h"
#include "cli/fleet/fleet.h"
#include "cli/fleet/tasks_dir.h"
#include "cli/http/query.h"
#include "cli/items/item_arguments.h"
#include "common/base/limits.h"
#include "common/json/encoding.h"
#include "common/json/json_scan.h"
#include "protocol/protocol.h"

static const char *const orders[] = {"input", "completion", NULL};
static const char *const progress_words[] = {"auto", "always", "never", NULL};

#define S struct map_options
static const struct option_row rows[] = {
    OPTION_HEADING("Items and results"),
    OPTION_WORDS("arg-file", S, arg_files,
                 "read the items from this file instead of standard input, which is -. May be given several times: "
                 "then the items are all combinations of the lines",
                 .value = "FILE", .letter = 'a'),
    OPTION_BOOL("text", S, text, NULL, "items are lines of text instead of JSON; always on with a command",
                .no_env = true),
    OPTION_BOOL("null", S, null, NULL,
                "each item is text that ends with a NUL byte, so it may contain newlines (find -print0)", .letter = '0',
                .no_env = true),
    OPTION_BOOL("json", S, json, NULL, "with a command: items are JSON, and results are printed as JSON",
                .no_env = true),
    OPTION_CHOICE("order", S, order, "input", orders, "order of the results: as in the input, or as the items complete",
                  .no_env = true),
    OPTION_BOOL("skip-failed", S, skip_failed, NULL, "print nothing for a failed item, instead of null",
                .no_env = true),
    OPTION_PATH("errors", S, errors, NULL,
                "write each failed item to this file, as a line {\"index\":...,\"error\":...,\"item\":...}; "
                "-: standard error",
                .value = "FILE", .no_env = true),
    OPTION_STRING(
        "reduce", S, reduce, NULL,
        "print one result for all items: the sum, count, min, max or concat of their values. The whole input is "
        "one job. The output of a command is compared as text unless --json is given. With --detach, `fantail results` "
        "prints this result",
        .value = "HOW", .no_env = true),
    OPTION_STRING("common", S, common, NULL, "a JSON value that the task gets with every item", .value = "JSON",
                  .no_env = true),
    OPTION_HEADING("Limits"),
    OPTION_INT("chunk-size", S, chunk_size, "0", 0, LIMIT_CHUNK_ITEMS,
               "items in one request to a worker; 0: chosen automatically", .value = "N"),
    OPTION_INT("max-concurrency", S, max_concurrency, "0", 0, LIMIT_CONCURRENCY,
               "items that may run at once; 0: as many as the workers can run", .value = "N"),
    OPTION_SECONDS("item-timeout-s", S, item_timeout_s, "-1", -1, LIMIT_TIME_S,
                   "seconds an item may run; 0: no limit; -1: the service's default, or no limit with a command",
                   .value = "S"),
    OPTION_SECONDS("deadline-s", S, deadline_s, "0", 0, LIMIT_TIME_S, "seconds the whole run may take; 0: no limit",
                   .value = "S"),
    OPTION_HEADING("When items fail"),
    OPTION_INT("max-attempts", S, max_attempts, "0", 0, LIMIT_ATTEMPTS,
               "attempts per item after a crash, a timeout or a lost worker. Any other failure is final, such as an "
               "exception or a non-zero exit status. 0: the service's default, or 1 with a command",
               .value = "N"),
    OPTION_SECONDS(
        "reconnect-s", S, reconnect_s, "300", 0, 1e9,
        "if the coordinator is lost, the items without an answer are sent to the URL again. The run ends with "
        "status 3 after this many seconds in which no coordinator answers. 0: immediately. If a task has "
        "\"idempotent\": false, its items that may already have run are not sent again; they fail as "
        "coordinator_lost",
        .value = "S"),
    OPTION_BOOL(
        "hedge", S, hedge, "true",
        "an item that seems late is run a second time on another worker, and the first answer is used; always off "
        "with a command"),
    OPTION_INT("tolerated-failure-count", S, tolerated_failure_count, "-1", -1, 1e15,
               "the run ends with status 3 once more than this many items have failed; -1: no limit", .value = "N"),
    OPTION_HEADING("A durable job, which the coordinator keeps in its job store"),
    OPTION_BOOL("detach", S, detach, NULL,
                "send all items, print the id of the job and end; `fantail results ID` prints the results",
                .no_env = true),
    OPTION_WORDS("label", S, labels,
                 "with --detach: a label; `fantail jobs --label` lists the jobs with it; may be given several times",
                 .value = "LABEL"),
    OPTION_STRING("idempotency-key", S, idempotency_key, NULL,
                  "with --detach: if a job with this key was submitted before, print its id and make no new job",
                  .value = "KEY", .no_env = true),
    TARGET_OPTION_ROWS(S, client),
    OPTION_HEADING("A private fleet for this run (without a URL, or with a command)"),
    OPTION_PATH("tasks", S, tasks, NULL, TASKS_DIR_HELP, .value = "DIR"),
    OPTION_INT("workers", S, workers, "1", 1, FLEET_MAX_WORKERS, "number of workers to start", .value = "N",
               .no_env = true),
    OPTION_INT("processes", S, processes, "0", 0, LIMIT_TASK_PROCESSES,
               "task processes of each worker; 0: one per processor", .value = "P", .letter = 'P', .no_env = true),
    OPTION_STRING("replace", S, replace, NULL,
                  "the placeholder for the item in the arguments of the command, instead of {}", .value = "TEXT",
                  .letter = 'I', .no_env = true),
    OPTION_BOOL("stdin", S, to_stdin, NULL, "the command gets the item on standard input", .no_env = true),
    OPTION_HEADING("Messages"),
    OPTION_CHOICE("progress", S, progress, "auto", progress_words,
                  "show a progress line on standard error; auto: only if that is a terminal and standard output is not",
                  .no_env = true),
    OPTION_BOOL("quiet", S, quiet, NULL, "do not report failed items on standard error", .letter = 'q', .no_env = true),
    OPTION_ROWS_END};
#undef S

/* Options of xargs and GNU parallel. */
static const struct option_foreign foreign[] = {
    {"-j", "the number of processes is -P N (--processes N)"},
    {"--jobs", "the number of processes is -P N (--processes N)"},
    {"--max-procs", "the number of processes is -P N (--processes N)"},
    {"-k", "the results are in the order of the items anyway, see --order"},
    {"--keep-order", "the results are in the order of the items anyway, see --order"},
    {"-n", "each line is one item, and the command is run once for each line"},
    {"-L", "each line is one item, and the command is run once for each line"},
    {0}};

static const struct option_spec spec = {
    .program = "fantail map",
    .usage = "TASK[,TASK...] [option...] [::: value...]   or   fantail map [option...] -- COMMAND [argument...] [::: "
             "value...]",
    .about =
        "Runs a task on each item of standard input, one JSON value per line. Prints each result on a line of\n"
        "standard output, in the order of the items, while later items still run. The input may be endless.\n"
        "\n"
        "Several tasks joined with commas run one after another on each item. Each task gets the value of the task\n"
        "before it.\n"
        "\n"
        "With --, any command is run once for each line, without a shell. {} in its arguments is replaced by the\n"
        "line. Without {}, the line is added as the last argument; with --stdin, the command gets it on standard\n"
        "input. The result is what the command prints, as UTF-8 text without its last newline. If the command's\n"
        "exit status is not 0, the item has failed.\n"
        "\n"
        "For the line a/b.tar.gz, {.} is a/b.tar, {/} is b.tar.gz, {//} is a, and {/.} is b.tar. {#} is the number\n"
        "of the item and counts from 1. With several lists of values (see :::), {} is all values of the item, {1}\n"
        "is the first value, {2} is the second, and {2/.} is {/.} of the second. The environment variable\n"
        "FANTAIL_INDEX is the index of the item and counts from 0.\n"
        "\n"
        "After :::, each argument is an item, and standard input is not read. ::: may be given several times: then\n"
        "the items are all combinations, and the last list changes fastest. After :::+, the values are linked to\n"
        "those of the list before, one by one, up to the end of the shorter list. :::: and ::::+ do the same with the\n"
        "lines of files. With several lists, a task gets an array of values.",
    .epilogue =
        "For a failed item, null is printed, so that result N belongs to item N. The first few failed items are\n"
        "reported on standard error. If there are more, the last line counts them by the name of their error.\n"
        "\n"
        "Examples:\n"
        "  seq 1000000 | fantail map square | tail -1\n"
        "  seq 5 | fantail map square,square\n"
        "  seq 5 | fantail map -- expr 2 +\n"
        "  fantail map -- gzip -k ::: *.log\n"
        "  fantail map -- convert {1} -resize {2} {1}-{2}.png ::: a.jpg b.jpg ::: 200 400\n"
        "  ls *.wav | fantail map --errors bad.ndjson -- ffmpeg -v error -y -i {} {.}.mp3\n"
        "  find . -name '*.log' -print0 | fantail map -0 -P 4 -- gzip\n"
        "  seq 5 | fantail map -- sh -c 'echo \"$1\" | wc -c' sh       a {} inside the code would run as code\n"
        "  fantail map wordcount --text --url http://fantail:8080 < lines.txt\n"
        "\n"
        "Exit status: 0 every item succeeded, 1 items failed, 2 wrong usage, 3 the job failed, the job was refused\n"
        "(for example, there is no such task), its connection was cut, or the service could not be reached. Ctrl-C\n"
        "cancels the job, and its work on the fleet stops. A last line then says how many items were answered. The\n"
        "exit status is that of the signal, 130 in a shell.",
    .rows = rows,
    .operands = OPTION_OPERANDS_ANYWHERE,
    .foreign = foreign,
    .late_option_advice = "a command and its arguments come after --: `fantail map -- COMMAND [argument...]`. For the "
                          "options of fantail map, see fantail map --help",
};

int map_options_complain(const char *option, const char *text)
{
    return option_complain(&spec, option, "%s", text);
}

static bool has_placeholder(const struct map_options *o, const char *text)
{
    static const char *const others[] = {"{.}", "{/}", "{//}", "{/.}"};
    if (strstr(text, o->replace ? o->replace : "{}")) return true;
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        if (strstr(text, others[i])) return true;
    while ((text = strchr(text, '{'))) {
        char *end;
        unsigned long column = strtoul(++text, &end, 10), lists = o->source.lists.count;
        if (column && column <= (lists ? lists : 1) && end[strspn(end, "./")] == '}') return true;
    }
    return false;
}

/* Returns whether the command is shell code with a placeholder in it, such as sh -c 'wc {}'. */
static bool puts_items_into_code(const struct map_options *o)
{
    char *const *command = o->command;
    static const char *const shells[] = {"sh", "bash", "dash", "zsh", "ksh"};
    const char *slash = strrchr(command[0], '/'), *name = slash ? slash + 1 : command[0];
    bool shell = false;
    for (size_t i = 0; i < ARRAY_SIZE(shells); i++) shell = shell || strcmp(name, shells[i]) == 0;
    return shell && command[1] && strcmp(command[1], "-c") == 0 && command[2] && has_placeholder(o, command[2]);
}

/* Returns a hint for a user who gave a whole command line as one argument; "" if it does not look like one. */
static const char *hint_of_one_word(const char *name)
{
    if (strpbrk(name, "<>|&;$*`"))
        return ". This is one argument. For shell syntax write `fantail map -- sh -c 'wc -l < \"$1\"' sh`";
    return strchr(name, ' ') ? ". This is one argument with spaces. Write the words as separate arguments, without "
                               "quotes: `fantail map -- wc -l`"
                             : "";
}

/* Checks that the program can be started. Otherwise every line would fail with the same error. */
static int check_program(const struct map_options *o)
{
    const char *name = o->command[0], *why;
    if (program_can_run(name, &why)) return EXIT_OK;
    char *cwd = get_current_dir_name();
    int status = option_complain(&spec, NULL, "cannot run the command %s in the folder %s: %s%s", name,
                                 cwd ? cwd : "(unknown)", why, hint_of_one_word(name));
    free(cwd);
    return status;
}

/* Checks that the words are UTF-8. The command is written to a task.json, and bytes that are not UTF-8
 * would be changed there. */
static int check_words(const struct map_options *o)
{
    for (unsigned i = 0; o->command[i]; i++) {
        const char *word = o->command[i];
        size_t at = encoding_text_length(word, strlen(word));
        if (word[at])
            return option_complain(
                &spec, NULL,
                "word %u of the command is not valid UTF-8 (byte %zu of the word); put the command into a script",
                i + 1, at);
    }
    return EXIT_OK;
}

static int check_command(struct map_options *o)
{
    if (o->task)
        return option_complain(&spec, NULL, "give either the task %s or a command after --, not both", o->task);
    if (!o->command[0])
        return option_complain(&spec, NULL, "the command after -- is missing. Example: `fantail map -- wc -c`");
    if (o->replace && !*o->replace) return option_complain(&spec, "replace", "must not be empty");
    if (o->replace && o->replace[encoding_text_length(o->replace, strlen(o->replace))])
        return option_complain(&spec, "replace", "is not valid UTF-8");
    if (o->json && o->null) return option_complain(&spec, NULL, "--null and --json exclude each other");
    o->text = !o->json;
    o->values_are_text = !o->json;
    if (o->item_timeout_s < 0) o->item_timeout_s = 0;
    if (o->reduce && strcmp(o->reduce, "sum") == 0 && !o->json)
        return option_complain(&spec, "reduce",
                               "a sum needs numbers, but the output of a command is text; --json reads it as JSON");
    int status = check_words(o);
    return status ? status : check_program(o);
}

static int check_task(struct map_options *o)
{
    if (!o->task)
        return option_complain(&spec, NULL,
                               "the task is missing. Example: `fantail map square < numbers.txt`; see "
                               "fantail map --help");
    if (o->to_stdin) return option_complain(&spec, "stdin", "is for a command (after --) only");
    if (o->replace) return option_complain(&spec, "replace", "is for a command (after --) only");
    if (o->json) return option_complain(&spec, "json", "is for a command (after --) only; a task gets JSON anyway");
    if (o->client.url) return target_config_check(&spec, &o->client);
    const char *given = o->tasks;
    o->tasks = tasks_dir_find(given);
    if (o->tasks) return EXIT_OK;
    return option_complain(
        &spec, "tasks",
        "%s is not a directory. Give the directory of the tasks with --tasks, or a fleet with --url or FANTAIL_URL",
        given ? given : "./tasks");
}

static_assert(REDUCE_KIND_COUNT == 6, "the texts of --reduce name every reducer");
static bool is_reducer(const char *name)
{
    for (size_t i = REDUCE_NONE + 1; i < REDUCE_KIND_COUNT; i++)
        if (strcmp(reduce_words[i], name) == 0) return true;
    return false;
}

/* Checks the options that need --detach, or that cannot be used with it. */
static int check_detach(const struct map_options *o)
{
    if (!o->detach && o->labels.count) return option_complain(&spec, "label", "is for --detach only");
    if (!o->detach && o->idempotency_key) return option_complain(&spec, "idempotency-key", "is for --detach only");
    if (!o->detach) return EXIT_OK;
    if (o->command) return option_complain(&spec, "detach", "is for a task; a command runs on this machine only");
    if (!o->client.url)
        return option_complain(&spec, "detach",
                               "needs a running fleet. Give `--url http://localhost:8080` or set FANTAIL_URL.");
    if (o->null) return option_complain(&spec, "null", "cannot be used with --detach");
    const char *output = o->errors ? "errors" : o->skip_failed ? "skip-failed" : NULL;
    if (output)
        return option_complain(&spec, output, "cannot be used with --detach; `fantail results` has this option");
    if (o->order != MAP_ORDER_INPUT)
        return option_complain(&spec, "order", "cannot be used with --detach; `fantail results` keeps the input order");
    return EXIT_OK;
}

static int check(struct map_options *o)
{
    int status = check_detach(o);
    if (status) return status;
    size_t offset;
    const char *error;
    if (o->reduce && !is_reducer(o->reduce))
        return option_complain(&spec, "reduce", "\"%s\" is not one of sum, count, min, max, concat", o->reduce);
    if (o->common && !json_valid(o->common, strlen(o->common), &offset, &error))
        return option_complain(&spec, "common", "not JSON at byte %zu: %s", offset, error);
    return o->command ? check_command(o) : check_task(o);
}

static int find_separator(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--") == 0) return i;
    return argc;
}

static bool has_option(char **argv, int argc, const char *name)
{
    size_t len = strlen(name);
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], name, len) == 0 && (argv[i][len] == '\0' || argv[i][len] == '=')) return true;
    return false;
}

/* Complains about a second word, with a hint about what the user probably meant. */
static void complain_of_extra(const char *task, const char *extra)
{
    if (access(extra, F_OK) == 0)
        option_complain(
            &spec, NULL,
            "unexpected argument %s. Items come on standard input or after `:::`: `fantail map %s < %s`. To "
            "run a command: `fantail map -- COMMAND`.",
            extra, task, extra);
    else
        option_complain(&spec, NULL,
                        "unexpected argument %s. Several tasks are joined with commas: `fantail map %s,%s`. Items come "
                        "on standard input or after `:::`: `fantail map %s < FILE`. To run a command: `fantail map -- "
                        "COMMAND`.",
                        extra, task, extra, task);
}

/* Complains about options of a private fleet if the task runs on a fleet that already exists. */
static int check_private(const struct map_options *o, char **argv, int argc)
{
    static const char *const names[] = {"--tasks", "--workers", "--processes"};
    const char *given = o->processes ? "--processes" : NULL; /* also as -P */
    if (!o->client.url) return EXIT_OK;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (has_option(argv, argc, names[i])) given = names[i];
    if (!given) return EXIT_OK;
    return option_complain(&spec, given + 2, "is for a private fleet, but --url or FANTAIL_URL names a running fleet");
}

/* Complains about options for the connection to a fleet if there is none. The variables of these options may be set for
 * other commands, so they are ignored. */
static int check_remote(const struct map_options *o, char **argv, int argc)
{
    static const char *const names[] = {"--token-file", "--cacert", "--cert", "--key"};
    if (o->client.url) return EXIT_OK;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (!has_option(argv, argc, names[i])) continue;
        return option_complain(&spec, names[i] + 2,
                               o->command ? "is for a running fleet, but a command runs on this machine"
                                          : "is for a running fleet. Give the fleet with --url or "
                                            "FANTAIL_URL");
    }
    return EXIT_OK;
}

/* Returns the words between -- and the lists of values, with a NULL after them. The words move to the place of --. */
static char **take_command(char **argv, int options_end, int lists)
{
    size_t words = (size_t)(lists - options_end - 1);
    memmove(argv + options_end, argv + options_end + 1, words * sizeof(*argv));
    argv[lists - 1] = NULL;
    return argv + options_end;
}

static void warn_of_code(const struct map_options *o)
{
    if (!o->quiet && puts_items_into_code(o))
        complain("warning: a placeholder such as {} is in the code for %s, so an item with quotes or $(...) runs as "
                 "code. Safer: "
                 "%s -c '... \"$1\" ...' %s {}",
                 o->command[0], o->command[0], o->command[0]);
}

static int open_source(struct map_options *o, char **lists)
{
    const struct item_arguments given = {
        .files = o->arg_files,
        .lists = lists,
        .text = o->text || o->null,
        .nulls = o->null,
        .rows = o->command != NULL,
    };
    int status = item_arguments_open(&given, &spec, &o->source);
    if (status) return status;
    if (o->to_stdin && o->source.lists.count > 1) {
        input_source_release(&o->source);
        return option_complain(&spec, "stdin", "is for one value, but an item of several lists has several");
    }
    o->sends_rows = o->command != NULL;
    if (o->source.has_lists)
        o->form = INPUT_JSON;
    else if (o->null)
        o->form = o->command ? INPUT_NULL_ROWS : INPUT_NULLS;
    else if (o->text)
        o->form = o->command ? INPUT_TEXT_ROWS : INPUT_TEXT;
    else
        o->form = o->command ? INPUT_JSON_ROWS : INPUT_JSON;
    if (o->command) warn_of_code(o);
    o->sends_text = o->form == INPUT_TEXT; /* texts with newlines are sent as JSON */
    return EXIT_OK;
}

bool map_options_read(struct map_options *o, int argc, char **argv, int *status)
{
    struct option_result result;
    *o = (struct map_options){0};
    int lists = item_arguments_find(argc, argv), options_end = find_separator(lists, argv);
    *status = EXIT_USAGE;
    if (!option_parse(&spec, o, options_end, argv, &result)) {
        *status = result.exit_status;
        return false;
    }
    if (result.first_operand < options_end) o->task = argv[result.first_operand];
    bool is_command = options_end < lists;
    if (is_command) o->command = take_command(argv, options_end, lists);
    if (result.first_operand + 1 < options_end) {
        complain_of_extra(o->task, argv[result.first_operand + 1]);
        return false;
    }
    if (is_command && has_option(argv, options_end, "--url")) {
        option_complain(&spec, "url", "a command runs on this machine only; a fleet runs tasks");
        return false;
    }
    if (is_command) o->client.url = NULL; /* FANTAIL_URL is for tasks only */
    *status = check_private(o, argv, options_end);
    if (*status == EXIT_OK) *status = check_remote(o, argv, options_end);
    if (*status == EXIT_OK) *status = check(o);
    if (*status == EXIT_OK) *status = open_source(o, argv + lists);
    return *status == EXIT_OK;
}

/* Writes all digits. If a short time were rounded to 0, the service would apply no limit. */
static void add_seconds(struct buf *path, const char *name, double seconds)
{
    char number[40];
    snprintf(number, sizeof(number), "%.15g", seconds);
    query_add(path, name, number);
}

void map_options_query(const struct map_options *o, double deadline_s, struct buf *path)
{
    buf_clear(path);
    buf_add_str(path, PATH_JOBS "?errors=runs&order=");
    buf_add_str(path, orders[o->order]);
    query_add(path, "task", o->command ? "command" : o->task);
    /* A command can have side effects. So it runs once for each line, as with xargs, without retries and hedging. */
    int64_t max_attempts = o->max_attempts == 0 && o->command ? 1 : o->max_attempts;
    if (max_attempts) buf_addf(path, "&retry.max_attempts=%lld", (long long)max_attempts);
    if (o->command || !o->hedge) buf_add_str(path, "&hedge.enabled=false");
    if (o->chunk_size) buf_addf(path, "&chunk_size=%lld", (long long)o->chunk_size);
    if (o->max_concurrency) buf_addf(path, "&max_concurrency=%lld", (long long)o->max_concurrency);
    if (o->item_timeout_s >= 0) add_seconds(path, "item_timeout_s", o->item_timeout_s);
    if (deadline_s > 0) add_seconds(path, "deadline_s", deadline_s);
    if (o->common) query_add(path, "common", o->common);
    if (o->reduce) query_add(path, "reduce", o->reduce);
}
