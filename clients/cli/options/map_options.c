#include "cli/options/map_options_internal.h"

#include <unistd.h>

#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/fleet/tasks_dir.h"
#include "cli/items/item_arguments.h"
#include "cli/options/command_check.h"
#include "cli/options/input_guess.h"
#include "cli/report/missing_dashes.h"
#include "common/json/encoding.h"
#include "common/json/json_scan.h"
#include "protocol/protocol.h"

/* map_option_spec, with the name of the command that the user has typed: fantail map or fantail parallel. */
static const struct option_spec *spec = &map_option_spec;

static void set_program(const char *program)
{
    static struct option_spec named;
    named = map_option_spec;
    if (program) named.program = program;
    spec = &named;
}

int map_options_complain(const char *option, const char *text)
{
    return option_complain(spec, option, "%s", text);
}

static const char *find_shell(void)
{
    const char *given = getenv("SHELL");
    return given && *given ? given : "/bin/sh";
}

static int check_command(struct map_options *o)
{
    if (o->task) return option_complain(spec, NULL, "give either the task %s or a command after --, not both", o->task);
    if (!o->command[0])
        return option_complain(spec, NULL, "the command after -- is missing. Example: `fantail map -- wc -c`");
    if (o->replace && !*o->replace) return option_complain(spec, "replace", "must not be empty");
    if (o->replace && !o->raw && o->replace[encoding_text_length(o->replace, strlen(o->replace))])
        return option_complain(spec, "replace", "is not valid UTF-8");
    if (o->json && o->null) return option_complain(spec, NULL, "--null and --json exclude each other");
    o->text = !o->json;
    o->values_are_text = !o->json;
    if (o->item_timeout_s < 0) o->item_timeout_s = 0;
    if (o->reduce && strcmp(o->reduce, "sum") == 0 && !o->json)
        return option_complain(spec, "reduce",
                               "a sum needs numbers, but the output of a command is text; --json reads it as JSON");
    if (o->shell) o->shell_path = o->manner.shell ? o->manner.shell : find_shell();
    return command_check(spec, o->command, o->shell_path, o->raw);
}

/* If a program has the name of the task, the user has probably forgotten the --. In this case, returns a sentence for
 * the end of a message, which shows the command line with the --. Otherwise returns "". */
static const char *command_hint(const struct map_options *o)
{
    static char hint[sizeof o->as_command + 300];
    snprintf(hint, sizeof hint, ". To run the command %.200s: `%s`", o->task, o->as_command);
    return o->as_command[0] ? hint : "";
}

/* Returns whether the tasks directory has the task. The job must have a single task. */
static bool has_task(const struct map_options *o)
{
    char *path;
    if (asprintf(&path, "%s/%s", o->tasks, o->task) < 0) BUG("out of memory for a path");
    bool found = access(path, F_OK) == 0;
    free(path);
    return found;
}

static int check_task(struct map_options *o)
{
    if (!o->task)
        return option_complain(spec, NULL,
                               "the task is missing. Example: `fantail map square < numbers.txt`; see "
                               "fantail map --help");
    int status = command_check_task(spec, o->task);
    if (status) return status;
    if (o->to_stdin) return option_complain(spec, "stdin", "is for a command (after --) only");
    if (o->replace) return option_complain(spec, "replace", "is for a command (after --) only");
    if (o->manner.ignores_items) return option_complain(spec, "max-args", "0 is for a command (after --) only");
    o->json = false; /* a task gets JSON anyway; check_index() has read what --json means for its results */
    if (o->client.url) return target_config_check(spec, &o->client);
    const char *given = o->tasks;
    o->tasks = tasks_dir_find(given);
    if (o->tasks && o->as_command[0] && !has_task(o))
        return option_complain(spec, NULL, "the folder %s has no task %s%s", o->tasks, o->task, command_hint(o));
    if (o->tasks) return EXIT_OK;
    return option_complain(
        spec, "tasks",
        "%s is not a directory. Give the directory of the tasks with --tasks, or a fleet with --url or FANTAIL_URL%s",
        given ? given : "./tasks", command_hint(o));
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
    if (!o->detach && o->labels.count) return option_complain(spec, "label", "is for --detach only");
    if (!o->detach && o->idempotency_key) return option_complain(spec, "idempotency-key", "is for --detach only");
    if (!o->detach) return EXIT_OK;
    if (o->command) return option_complain(spec, "detach", "is for a task; a command runs on this machine only");
    if (!o->client.url)
        return option_complain(spec, "detach",
                               "needs a running fleet. Give `--url http://localhost:8080` or set FANTAIL_URL.");
    if (o->null) return option_complain(spec, "null", "cannot be used with --detach");
    if (o->record.delimiter) return option_complain(spec, "delimiter", "cannot be used with --detach");
    if (o->joblog)
        return option_complain(spec, "joblog", "cannot be used with --detach; `fantail results` has what is done");
    const char *output = o->errors ? "errors" : o->skip_failed ? "skip-failed" : NULL;
    if (output) return option_complain(spec, output, "cannot be used with --detach; `fantail results` has this option");
    if (o->order != MAP_ORDER_INPUT)
        return option_complain(spec, "order", "cannot be used with --detach; `fantail results` keeps the input order");
    return EXIT_OK;
}

/* Returns how many commands may run at once. */
static size_t slots_of(const struct map_options *o)
{
    size_t slots = (size_t)(o->processes * o->workers);
    bool is_less = o->max_concurrency > 0 && (size_t)o->max_concurrency < slots;
    return is_less ? (size_t)o->max_concurrency : slots;
}

static struct record_context record_context_of(const struct map_options *o)
{
    return (struct record_context){
        .command = o->command,
        .marker = o->replace,
        .slots = o->manner.fills ? 1 : slots_of(o),
        .shell = o->shell,
        .quotes_words = o->manner.quotes_words,
        .plus = o->plus,
        .resumes = o->resume || o->resume_failed,
        .blocks = block_options_given(&o->block),
        .text = o->text,
        .json = o->json,
        .nulls = o->null,
        .raw = o->raw,
        .to_stdin = o->to_stdin,
    };
}

/* Returns an option that was given, says how the input becomes items, and cannot be used with blocks; NULL: none. */
static const char *other_input_option(const struct map_options *o)
{
    if (o->to_stdin) return "stdin";
    if (o->null) return "null";
    return record_options_name(&o->record);
}

static int check_blocks(struct map_options *o, bool lists)
{
    const struct block_context context = {
        .other = other_input_option(o),
        .records = o->record.group_words,
        .group = o->manner.record_lines,
        .head = o->record.header,
        .reduce = o->reduce != NULL,
        .files = o->arg_files.count,
        .lists = lists,
        .slots = (unsigned)slots_of(o),
    };
    return block_options_check(&o->block, spec, &context);
}

static int check(struct map_options *o, bool lists)
{
    int status = check_detach(o);
    if (!status) status = map_control_check(o);
    if (status) return status;
    if (o->reduce && !is_reducer(o->reduce))
        return option_complain(spec, "reduce", "\"%s\" is not one of sum, count, min, max, concat", o->reduce);
    if (o->given_common) status = common_option_read(&o->common, spec, o->given_common, o->command);
    if (status) return status;
    status = o->command ? check_command(o) : check_task(o);
    if (status) return status;
    const struct record_context context = record_context_of(o);
    status = record_options_check(&o->record, spec, &context);
    if (!status) status = check_blocks(o, lists);
    o->null = o->null || record_options_ends_otherwise(&o->record);
    return status;
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
static void complain_of_extra(const struct map_options *o, const char *extra)
{
    const char *task = o->task;
    if (o->as_command[0])
        option_complain(spec, NULL, "unexpected argument %s%s", extra, command_hint(o));
    else if (access(extra, F_OK) == 0)
        option_complain(
            spec, NULL,
            "unexpected argument %s. Items come on standard input or after `:::`: `fantail map %s < %s`. To "
            "run a command: `fantail map -- COMMAND`.",
            extra, task, extra);
    else
        option_complain(spec, NULL,
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
    bool limits = strcmp(given, "--processes") == 0;
    return option_complain(spec, given + 2, "is for a private fleet, but --url or FANTAIL_URL names a running fleet%s",
                           limits ? ". --max-concurrency limits how many items run there at once" : "");
}

/* Without a URL, complains if an option is given that applies only to a connection to a fleet. The environment
 * variables of these options may be set for other commands, so the variables are ignored. */
static int check_remote(const struct map_options *o, char **argv, int argc)
{
    static const char *const names[] = {"--token-file", "--cacert", "--cert", "--key"};
    if (o->client.url) return EXIT_OK;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (!has_option(argv, argc, names[i])) continue;
        return option_complain(spec, names[i] + 2,
                               o->command ? "is for a running fleet, but a command runs on this machine"
                                          : "is for a running fleet. Give the fleet with --url or "
                                            "FANTAIL_URL");
    }
    return EXIT_OK;
}

/* Returns the words between -- and the lists of values, with a NULL after them. Moves each word one place forward, so
 * that the first one replaces the --. */
static char **take_command(char **argv, int options_end, int lists)
{
    size_t words = (size_t)(lists - options_end - 1);
    memmove(argv + options_end, argv + options_end + 1, words * sizeof(*argv));
    argv[lists - 1] = NULL;
    return argv + options_end;
}

/* Sets the form of the bytes that the source gives. */
static void set_form(struct map_options *o)
{
    if (o->source.has_lists || o->source.has_records || o->source.has_blocks)
        o->form = INPUT_JSON;
    else if (o->null)
        o->form = o->command ? INPUT_NULL_ROWS : INPUT_NULLS;
    else if (o->text)
        o->form = o->command ? INPUT_TEXT_ROWS : INPUT_TEXT;
    else
        o->form = o->command ? INPUT_JSON_ROWS : INPUT_JSON;
}

/* If the placeholder {##} is used, sets o->total to the number of all items. Complains if this number is not known. */
static int read_total(struct map_options *o)
{
    bool needed = o->tagstring && strstr(o->tagstring, "{##}");
    for (char **word = o->command; word && *word; word++) needed = needed || strstr(*word, "{##}");
    if (!o->plus || !needed) return EXIT_OK;
    bool known = o->source.has_lists && !record_options_given(&o->record);
    if (known) o->total = item_lists_items(&o->source.lists);
    if (known) return EXIT_OK;
    input_source_release(&o->source);
    return option_complain(spec, "plus",
                           "the number of items, {##}, is known only for several lists or after :::, and without "
                           "columns and groups");
}

static void read_columns(struct map_options *o)
{
    const struct input_record *names = &o->source.records.names.names;
    if (!o->source.has_records || !names->count) return;
    o->columns = xcalloc(names->count + 1, sizeof *o->columns);
    for (size_t i = 0; i < names->count; i++) {
        struct json_slice name = record_value(names, i);
        o->columns[i] = xstrndup(name.data, name.len);
    }
}

/* Gives the words of the command their final form, and measures the command line if items are grouped for it. */
static int set_words(struct map_options *o)
{
    struct record_source *records = &o->source.records;
    if (o->source.has_records) {
        int status = command_check_columns(spec, o->command, o->tagstring, &records->names, o->manner.is_parallel);
        if (status) return status;
        record_words_number(&o->words, &records->names, &o->command, &o->tagstring);
    }
    if (o->shell && !o->manner.quotes_words) record_words_cut(&o->words, &o->command);
    const struct record_context context = record_context_of(o);
    record_options_measure(&o->record, &context, &records->maker.length);
    return EXIT_OK;
}

/* If no option says how the input of a task becomes items, guesses these options from the file. */
static void guess_input(struct map_options *o, char *const *lists)
{
    const char *path = item_arguments_one_file(&o->arg_files, lists);
    bool is_said = o->text || o->null || record_options_name(&o->record) || record_options_given(&o->record) ||
                   o->record.header || o->record.shuf || block_options_given(&o->block);
    if (!o->command && path && !is_said) input_guess(&o->record, path);
}

static int open_source(struct map_options *o, char **lists)
{
    guess_input(o, lists);
    const struct record_context context = record_context_of(o);
    struct record_plan plan;
    record_options_plan(&o->record, &context, &plan);
    bool ends_otherwise = plan.nulls && plan.delimiter; /* neither a newline nor a NUL byte ends an item */
    bool has_records = record_options_given(&o->record) || ends_otherwise;
    const struct item_arguments given = {
        .files = o->arg_files,
        .lists = lists,
        .text = plan.values != ITEM_VALUES_JSON,
        .nulls = o->null,
        .delimiter = plan.delimiter,
        .wraps = o->record.link,
        .end = o->record.end,
        .skip_blank = o->record.skip_blank,
        .shuffles = o->record.shuf,
        .raw = o->raw,
        .rows = o->command != NULL,
        .blocks = block_options_given(&o->block) ? &o->block.plan : NULL,
        .records = !block_options_given(&o->block) && has_records ? &plan : NULL,
    };
    int status = item_arguments_open(&given, spec, &o->source);
    if (status) return status;
    if (o->to_stdin && o->source.lists.count > 1) {
        input_source_release(&o->source);
        return option_complain(spec, "stdin", "is for one value, but an item of several lists has several");
    }
    status = read_total(o);
    if (status) return status;
    o->sends_rows = o->command != NULL;
    set_form(o);
    if (!o->source.has_lists && !o->source.has_blocks && isatty(o->source.fd) && (!o->quiet || o->manner.is_parallel))
        complain("reading the items from the terminal, one on each line; Ctrl-D ends them");
    size_t columns = o->source.has_records ? SIZE_MAX : o->source.lists.count;
    if (o->command) status = set_words(o);
    if (status) {
        input_source_release(&o->source);
        return status;
    }
    if (o->results) read_columns(o);
    if (o->command && !o->shell && !o->source.has_blocks && !o->quiet)
        command_warn_of_code(o->command, o->replace, columns);
    o->sends_text = o->form == INPUT_TEXT; /* texts that may have newlines are sent as JSON */
    return EXIT_OK;
}

static void set_as_command(struct map_options *o, char *const *typed)
{
    struct buf line = {0};
    missing_dashes_add(&line, typed, o->task, spec);
    snprintf(o->as_command, sizeof o->as_command, "%s", buf_cstr(&line));
    buf_release(&line);
}

/* `typed` has the words of argv in the order in which they were typed. */
static bool read_words(struct map_options *o, int argc, char **argv, char *const *typed, int *status)
{
    struct option_result result;
    int lists = item_arguments_find(argc, argv), options_end = find_separator(lists, argv);
    *status = EXIT_USAGE;
    if (!option_parse(spec, o, options_end, argv, &result)) {
        *status = result.exit_status;
        return false;
    }
    if (record_options_take_zero(&o->record)) o->manner.ignores_items = true;
    if (result.first_operand < options_end) o->task = argv[result.first_operand];
    bool is_command = options_end < lists;
    if (o->task && !is_command) set_as_command(o, typed);
    if (is_command) o->command = take_command(argv, options_end, lists);
    if (result.first_operand + 1 < options_end) {
        complain_of_extra(o, argv[result.first_operand + 1]);
        return false;
    }
    if (is_command && has_option(argv, options_end, "--url")) {
        option_complain(spec, "url", "a command runs on this machine only; a fleet runs tasks");
        return false;
    }
    if (is_command && o->client.url && !o->quiet)
        complain("the command runs on this machine, although FANTAIL_URL is set: a fleet runs tasks only");
    if (is_command) o->client.url = NULL;
    *status = check_private(o, argv, options_end);
    if (*status == EXIT_OK) *status = check_remote(o, argv, options_end);
    if (*status == EXIT_OK) *status = check(o, lists < argc);
    if (*status == EXIT_OK) *status = open_source(o, argv + lists);
    if (*status != EXIT_OK) common_option_release(&o->common);
    return *status == EXIT_OK;
}

bool map_options_read(struct map_options *o, const struct map_manner *manner, int argc, char **argv, int *status)
{
    *o = (struct map_options){.manner = *manner};
    set_program(manner->program);
    char **typed = xcalloc((size_t)argc + 1, sizeof *typed); /* option_parse() and take_command() move the words */
    memcpy(typed, argv, (size_t)argc * sizeof *typed);
    bool good = read_words(o, argc, argv, typed, status);
    free(typed);
    return good;
}

void map_options_release(struct map_options *o)
{
    input_source_release(&o->source);
    common_option_release(&o->common);
    record_words_release(&o->words);
    for (char **name = o->columns; name && *name; name++) free(*name);
    free(o->columns);
}
