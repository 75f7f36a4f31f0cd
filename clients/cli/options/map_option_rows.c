#include "cli/options/map_options_internal.h"

#include "cli/fleet/fleet.h"
#include "cli/fleet/tasks_dir.h"
#include "cli/options/foreign_options.h"
#include "cli/options/option_values.h"
#include "common/base/limits.h"

const char *const map_orders[] = {"input", "completion", NULL};
static const char *const progress_words[] = {"auto", "always", "never", NULL};

#define MOST_JOBS         TEXT_OF(LIMIT_TASK_PROCESSES)
#define ALL_JOBS          TEXT_OF(OPTION_JOBS_ALL)
#define MOST_JOBS_OF_FILE TEXT_OF(OPTION_JOBS_FILE)
#define JOBS_HELP                                                                                                      \
    "items that may run at once: a number up to " MOST_JOBS                                                            \
    "; N% of the processors; +N or -N: N more or N fewer than "                                                        \
    "there are processors; 0: " ALL_JOBS                                                                               \
    ". With 1, the items run one after another in their order. For a command also "                                    \
    "a file with such a number. The file is read every second, so the number may change: the number may grow "         \
    "to " MOST_JOBS_OF_FILE                                                                                            \
    ", or to its first value if that is larger. With a URL: only a number, like --max-concurrency"

#define S struct map_options
static const struct option_row rows[] = {
    OPTION_HEADING("Items and results"),
    OPTION_WORDS("arg-file", S, arg_files,
                 "read the items from this file instead of standard input; - is standard input. May be given several "
                 "times: then the items are all combinations of the lines",
                 .value = "FILE", .letter = 'a'),
    OPTION_BOOL("text", S, text, NULL, "items are lines of text instead of JSON; always on with a command",
                .no_env = true),
    OPTION_BOOL("null", S, null, NULL,
                "each item is text that ends with a NUL byte, so it may contain newlines (find -print0)", .letter = '0',
                .no_env = true),
    OPTION_BOOL("json", S, json, NULL,
                "with a command: items are JSON, and results are printed as JSON. With a task: the same as --index",
                .no_env = true),
    OPTION_BOOL(
        "index", S, index, NULL,
        "print each result as {\"index\":N,\"value\":V}, and a failed item as {\"index\":N,\"error\":{...}}. N is the "
        "place of the item in the input, from 0",
        .no_env = true),
    RECORD_OPTION_ROWS(S, record),
    BLOCK_OPTION_ROWS(S, block),
    OPTION_CHOICE("order", S, order, "input", map_orders,
                  "order of the results: as in the input, or as the items complete", .no_env = true),
    OPTION_BOOL("keep-order", S, keep_order, NULL, "the same as --order input", .letter = 'k', .no_env = true),
    OPTION_BOOL("skip-failed", S, skip_failed, NULL, "print nothing for a failed item, instead of null",
                .no_env = true),
    OPTION_PATH(
        "errors", S, errors, NULL,
        "write each failed item to this file, as a line {\"index\":...,\"error\":{...},\"item\":...}. index "
        "counts from 0. error has name, cause, exit_code, signal, attempts, worker and stderr. The error of a "
        "command also has stdout. stderr and stdout have the end of what was written, up to 256 KiB. If a text was "
        "cut, the member cut of error has the length of the whole text. -: standard error",
        .value = "FILE", .no_env = true),
    OPTION_BOOL(
        "raw", S, raw, NULL,
        "with a command: items and outputs are any bytes. The output is printed unchanged, even that of a failed "
        "command. Nothing is added, so a command without output prints no line",
        .no_env = true),
    OPTION_STRING(
        "reduce", S, reduce, NULL,
        "print one result for all items: the sum, count, min, max or concat of their values. The whole input is "
        "one job, so --pipe cannot be given too, but --pipepart can. The output of a command is compared as text "
        "unless --json is given. With --detach, `fantail results` prints this result",
        .value = "HOW", .no_env = true),
    OPTION_STRING("common", S, given_common, NULL,
                  "a JSON value that the task gets with every item; or @FILE, a file with this value", .value = "JSON",
                  .no_env = true),
    OPTION_HEADING("Limits"),
    OPTION_INT("chunk-size", S, chunk_size, "0", 0, LIMIT_CHUNK_ITEMS,
               "items in one request to a worker; 0: chosen automatically", .value = "N"),
    OPTION_INT("max-concurrency", S, max_concurrency, "0", 0, LIMIT_CONCURRENCY,
               "items that may run at once; 0: as many as the workers can run. On this machine, -j N is enough",
               .value = "N"),
    OPTION_STRING("rate", S, rate, NULL,
                  "items that may start in a second, a minute or an hour, such as 10/s. For a command, 2/s is the same "
                  "as --delay 0.5. On a fleet, it is the rate at "
                  "which items are sent to the workers",
                  .value = "N/s|m|h", .no_env = true),
    OPTION_STRING("jobs", S, jobs, NULL, JOBS_HELP, .value = "N", .letter = 'j', .no_env = true,
                  .overrides = "max-concurrency"),
    OPTION_STRING("timeout", S, timeout, NULL,
                  "time that an item may run: seconds, or a number with s, m, h or d. An item that takes longer is "
                  "killed and fails as timed_out. For a command, S may also be a percentage, such as 300%, of the "
                  "median time of the commands that have succeeded. A percentage takes effect when " TEXT_OF(
                      RUN_GATE_LEAST) " commands have succeeded",
                  .value = "S", .no_env = true, .overrides = "item-timeout-s"),
    OPTION_SECONDS(
        "item-timeout-s", S, item_timeout_s, "-1", -1, LIMIT_TIME_S,
        "seconds an item may run; 0: no limit; -1: the limit of the task or of the service (60 unless set), or no "
        "limit with a command. For a command, use --timeout, which counts from its start",
        .value = "S"),
    OPTION_SECONDS("deadline-s", S, deadline_s, "0", 0, LIMIT_TIME_S, "seconds the whole run may take; 0: no limit",
                   .value = "S"),
    OPTION_HEADING("When items fail"),
    OPTION_INT("retries", S, retries, "0", 0, LIMIT_ATTEMPTS,
               "run an item up to N times in all, after any failure, even a non-zero exit status. 0: as --max-attempts "
               "says",
               .value = "N", .no_env = true, .overrides = "max-attempts"),
    OPTION_STRING("retry-on", S, retry_on, NULL,
                  "with --retries or --max-attempts: try again only after these errors, such as task_error,timed_out. "
                  "task_error includes a non-zero exit status, and crashed includes the end by a signal",
                  .value = "NAMES", .no_env = true),
    OPTION_STRING("delay-retry", S, delay_retry, NULL,
                  "time between the attempts at an item: seconds, or a number with s, m, h or d. By default it grows "
                  "from 0.1 s with each attempt",
                  .value = "S", .no_env = true),
    OPTION_INT("max-attempts", S, max_attempts, "0", 0, LIMIT_ATTEMPTS,
               "run an item up to N times in all, but only after a crash, a timeout or a lost worker. An exception or "
               "a non-zero exit status is final; --retries repeats it too. 0: the number of the service (3 unless "
               "set), or 1 with a command",
               .value = "N"),
    OPTION_STRING(
        "halt", S, halt, NULL,
        "end the run after N failed items: now,fail=N kills the running items. With a command there are more forms. "
        "WHEN may be soon, which lets the running items end. WHY may be success=N or done=N. N may be a percentage of "
        "all items; it takes effect when the number of items is known",
        .value = "WHEN,WHY", .no_env = true, .overrides = "tolerated-failure-count"),
    OPTION_SECONDS(
        "reconnect-s", S, reconnect_s, "300", 0, 1e9,
        "if the coordinator is lost, the items without an answer are sent to the URL again. The run ends with "
        "status 3 if no coordinator answers for this many seconds. 0: immediately. If a task has "
        "\"idempotent\": false, its items that may already have run are not sent again; they fail as "
        "coordinator_lost",
        .value = "S"),
    OPTION_BOOL(
        "hedge", S, hedge, "true",
        "an item that seems late is run a second time on another worker, and the first answer is used; always off "
        "with a command"),
    OPTION_INT("tolerated-failure-count", S, tolerated_failure_count, "-1", -1, 1e15,
               "the run ends with status 3 when more than this many items have failed; -1: no limit", .value = "N"),
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
               "task processes of each worker; 0: one per processor. -j N sets this number too", .value = "P",
               .letter = 'P', .no_env = true),
    OPTION_STRING("replace", S, replace, NULL,
                  "the placeholder for the item in the arguments of the command, instead of {}", .value = "TEXT",
                  .letter = 'I', .no_env = true),
    OPTION_BOOL(
        "plus",
        S, plus, NULL,
        "more placeholders: {..} is the item without its last two extensions, {+.} its last extension, {+/} its "
        "folder, {%.txt} the item without .txt at its end, {/a/b} the item with b instead of the first a, {##} the "
        "number of all items. The others are those of GNU parallel's --plus",
        .no_env = true),
    OPTION_BOOL("shell", S, shell, NULL,
                "the words of the command, joined with spaces, are run by $SHELL or /bin/sh. The items are quoted for "
                "the shell, so do not write quotes around {}",
                .no_env = true),
    OPTION_BOOL("stdin", S, to_stdin, NULL, "the command gets the item on standard input", .no_env = true),
    OPTION_STRING(
        "delay", S, delay, NULL,
        "least time between the starts of two commands: seconds, or as in --timeout. Commands start exactly in the "
        "order of the items only with -j 1",
        .value = "S", .no_env = true),
    OPTION_STRING(
        "load", S, load, NULL,
        "start a command only while fewer than N processes of the machine run or wait for a processor. They are "
        "counted at that moment; N is not a load average. N may be a percentage of the processors",
        .value = "N", .no_env = true),
    OPTION_BYTES("memfree", S, memfree, "0", 0, 1e15,
                 "start a command only while this much memory is free. If less than half of this amount is free, the "
                 "youngest command is killed and runs again later",
                 .value = "BYTES", .no_env = true),
    OPTION_INT("nice", S, nice, "0", -40, 40, "added to the niceness of each command", .value = "N", .no_env = true),
    OPTION_BOOL("tag", S, tag, NULL,
                "write the item and a tab before each line of its output and of its standard error", .no_env = true),
    OPTION_STRING("tagstring", S, tagstring, NULL,
                  "like --tag, with this text instead of the item; it may have placeholders", .value = "TEXT",
                  .no_env = true),
    OPTION_BOOL("line-buffer", S, line_buffer, NULL,
                "print each line of a command as soon as it comes, between the lines of other commands",
                .no_env = true),
    OPTION_BOOL("lb", S, lb, NULL, "the same as --line-buffer", .no_env = true),
    OPTION_PATH("joblog", S, joblog, NULL,
                "write a line for each item that is done: Seq, Host, Starttime, JobRuntime, Send, Receive, Exitval, "
                "Signal and Command as in GNU parallel, then Index (Seq minus 1), Worker, Attempts and Peak (the most "
                "memory in use, in bytes). For a task, some of them are 0 or empty. If FILE begins with +, the lines "
                "are appended",
                .value = "FILE", .no_env = true),
    OPTION_BOOL("resume", S, resume, NULL,
                "with --joblog: leave out the items that the log has, and append to it. Give the task or command and "
                "the whole input again. If the earlier run was killed, its commands were killed too, and each item "
                "that the log lacks runs again, even if it had just ended",
                .no_env = true),
    OPTION_BOOL("resume-failed", S, resume_failed, NULL,
                "like --resume, but the items that have failed run again too. The log then has two lines for such an "
                "item",
                .no_env = true),
    OPTION_PATH("results", S, results, NULL,
                "also save the output of each command in files in this folder: DIR/1/ITEM/stdout and stderr, with seq "
                "and exitval beside them",
                .value = "DIR", .no_env = true),
    OPTION_BOOL("dry-run", S, dry_run, NULL, "print the command lines that would run, and run nothing", .no_env = true),
    OPTION_HEADING("Messages"),
    OPTION_CHOICE("progress", S, progress, "auto", progress_words,
                  "show a progress line on standard error; auto: only if standard error is a terminal, and standard "
                  "output is a file or /dev/null",
                  .no_env = true),
    OPTION_BOOL("bar", S, bar, NULL, "the same as --progress always", .no_env = true),
    OPTION_BOOL("eta", S, eta, NULL, "the same as --progress always", .no_env = true),
    OPTION_BOOL("quiet", S, quiet, NULL, "do not report failed items on standard error", .letter = 'q', .no_env = true),
    OPTION_ROWS_END};
#undef S

#define LINES    "the number of lines that become the arguments of one command is -n N"
#define PROCS    "the number of processes is -j N (--jobs N)"
#define SHOWN    "--dry-run shows the command lines. `fantail parallel` has this option"
#define AS_LINES "--line-buffer prints each line as soon as it comes"
#define ENDED    "an output is printed when its command has ended, and --order completion does not wait for earlier items"
#define FIXED    "only {} may have another name: -I TEXT. `fantail parallel` has this option"
#define LISTS    "a list of values begins with :::, and a file of values with ::::"
#define FOLDER   "the command runs in the current folder. `fantail parallel` has this option"
#define NOTHING  "leave this option out, it is not needed here"

/* Options of xargs and GNU parallel. */
static const struct option_foreign foreign[] = {
    {"--pipe-part", "to cut a file into blocks, use --pipepart -a FILE"},
    {"--spreadstdin", "to cut standard input into blocks, use --pipe"},
    {"--blocksize", "the size of a block is --block BYTES"},
    {"--block-size", "the size of a block is --block BYTES"},
    {"--max-procs", PROCS},
    {"--maxprocs", PROCS},
    {"-L", LINES},
    {"-l", LINES},
    {"--max-lines", LINES},
    {"--maxlines", LINES},
    {"--xargs", "-X or -m gives each command as many lines as fit into its command line"},
    {"--xapply", "lists of values are linked with --link, or with :::+"},
    {"--norunifempty", "--no-run-if-empty (-r) leaves out blank lines"},
    {"-t", SHOWN},
    {"--verbose", SHOWN},
    {"-v", SHOWN},
    {"--print-commands", SHOWN},
    {"-u", AS_LINES},
    {"--ungroup", AS_LINES},
    {"--linebuffered", AS_LINES},
    {"--group", ENDED},
    {"--no-keep-order", ENDED},
    {"--quote", "without --shell, no shell reads the words, so they need no quotes"},
    {"-i", "the item replaces {}, and -I TEXT names another placeholder"},
    {"--replace-default", "the item replaces {}, and -I TEXT names another placeholder"},
    {"--extensionreplace", FIXED},
    {"--er", FIXED},
    {"--basenamereplace", FIXED},
    {"--bnr", FIXED},
    {"--dirnamereplace", FIXED},
    {"--dnr", FIXED},
    {"--basenameextensionreplace", FIXED},
    {"--bner", FIXED},
    {"--seqreplace", FIXED},
    {"--slotreplace", FIXED},
    {"--arg-sep", LISTS},
    {"--argsep", LISTS},
    {"--arg-file-sep", LISTS},
    {"--argfilesep", LISTS},
    {"--workdir", FOLDER},
    {"--work-dir", FOLDER},
    {"--wd", FOLDER},
    {"--env", "a command has all variables of the environment. Leave this option out"},
    {"--halt-on-error", "to end a run early, use --halt WHEN,WHY"},
    {"--jl", "the log is --joblog FILE"},
    {"--res", "the folder of the outputs is --results DIR"},
    {"--process-slot-var", "the number of the slot is in FANTAIL_SLOT, from 1 on"},
    {"--will-cite", NOTHING},
    {"--willcite", NOTHING},
    {"--no-notice", NOTHING},
    {"--nn", NOTHING},
    {"--citation", NOTHING},
    {"--silent", NOTHING},
    {"--gnu", NOTHING},
    {"--plain", NOTHING},
    {.next = foreign_options_of_parallel}};

const struct option_spec map_option_spec = {
    .program = "fantail map",
    .usage = "TASK[,TASK...] [option...] [::: value...]   or   fantail map [option...] -- COMMAND [argument...] [::: "
             "value...]",
    .about =
        "  fantail map -- gzip -k ::: *.log                        a command for each file\n"
        "  seq 5 | fantail map -- expr 2 +                         a command for each line\n"
        "  seq 5 | fantail map square,square                       two tasks of the folder tasks\n"
        "\n"
        "Runs a task on each item of standard input, one JSON value per line. Prints each result on a line of\n"
        "standard output, in the order of the items, while later items still run. The input may be endless.\n"
        "\n"
        "Several tasks joined with commas run one after another on each item. Each task gets the value of the task\n"
        "before it. Without a URL, the tasks run in the current folder, so items may be relative paths. A task has "
        "the\n"
        "path of its own folder in FANTAIL_TASK_FOLDER.\n"
        "\n"
        "With --, any command is run once for each line, without a shell. {} in its arguments is replaced by the\n"
        "line. Without {}, the line is added as the last argument; with --stdin, the command gets it on standard\n"
        "input. The result is what the command prints, as UTF-8 text without its last newline. So a command that\n"
        "prints nothing has an empty line as its result. If the command's exit status is not 0, the item has failed.\n"
        "What the command writes to standard error is written to standard error, in whole lines.\n"
        "\n"
        "For the line a/b.tar.gz, {.} is a/b.tar, {/} is b.tar.gz, {//} is a, and {/.} is b.tar. {#} is the number\n"
        "of the item and {%} is the number of the slot in which the command runs; both count from 1. With several\n"
        "lists of values (see :::), {} is all values of the item, {1} is the first value, {2} is the second, and\n"
        "{2/.} is {/.} of the second. The environment variable FANTAIL_INDEX is the index of the item and counts\n"
        "from 0, and FANTAIL_SLOT is {%}. A message names the item by {#}.\n"
        "\n"
        "After :::, each argument is an item, and standard input is not read. ::: may be given several times: then\n"
        "the items are all combinations, and the last list changes fastest. After :::+, the values are linked to\n"
        "those of the list before, one by one, up to the end of the shorter list. :::: and ::::+ do the same with the\n"
        "lines of files. With several lists, a task gets an array of values.\n"
        "\n"
        "With --colsep or --csv, a line has several values, {1}, {2} and so on. With --header :, the first line names\n"
        "them, and {NAME} is the value of the column NAME. With -n N, the values of N lines are the arguments of one\n"
        "command; with -X, those of as many lines as fit. With --shell, the command is shell code. With --pipe, the "
        "input\n"
        "is cut into blocks of whole lines, and each command gets a block on its standard input.",
    .epilogue =
        "For a failed item, null is printed, so that result N belongs to item N. With --halt this does not hold:\n"
        "nothing is printed for an item that did not run to its end. The first few failed items are reported on\n"
        "standard error. If more items failed, the last line counts them by the name of their error.\n"
        "\n"
        "Examples:\n"
        "  seq 1000000 | fantail map square | tail -1\n"
        "  zcat huge.gz | fantail map --pipe --block 10M -- grep -c error\n"
        "  fantail map -- convert {1} -resize {2} {1}-{2}.png ::: a.jpg b.jpg ::: 200 400\n"
        "  find . -name '*.log' -print0 | fantail map -0 -j 4 -X -- gzip\n"
        "  fantail map --shell -- 'zcat {} | sort -u > {.}.sorted' ::: *.gz\n"
        "  fantail map --csv --header : -a people.csv -- mail -s 'Hello {name}' {address}\n"
        "  ls *.wav | fantail map --errors bad.ndjson -- ffmpeg -v error -y -i {} {.}.mp3\n"
        "  find . -name '*.log' -print0 | fantail map -0 -P 4 -- gzip\n"
        "  fantail map -j 200% --retries 3 --timeout 1m --joblog log --resume -a urls -- curl -sSfO\n"
        "  seq 5 | fantail map -- sh -c 'echo \"$1\" | wc -c' sh       a {} inside the code would run as code\n"
        "  fantail map wordcount --text --url http://fantail:8080 < lines.txt\n"
        "\n"
        "Exit status: 0 every item succeeded, 1 items failed, 2 wrong usage, 3 the job failed, the job was refused\n"
        "(for example, there is no such task), its connection was cut, or the service could not be reached. Ctrl-C\n"
        "cancels the job, and its work on the fleet stops. After Ctrl-C, a last line says how many items were\n"
        "answered. The exit status is that of the signal, 130 in a shell.",
    .rows = rows,
    .operands = OPTION_OPERANDS_ANYWHERE,
    .foreign = foreign,
    .late_option_advice = "a command and its arguments come after --: `fantail map -- COMMAND [argument...]`. For the "
                          "options of fantail map, see fantail map --help",
};
