#include "cli/options/foreign_options.h"
#include "cli/parallel/parallel_options.h"

#define S struct parallel_options
#define TEXT(name, field, value_word, help, ...)                                                                       \
    OPTION_STRING(name, S, field, NULL, help, .value = (value_word), .no_env = true, __VA_ARGS__)
#define SWITCH(name, field, help, ...) OPTION_BOOL(name, S, field, NULL, help, .no_env = true, __VA_ARGS__)
/* Another name of an option. --help shows only the first one. */
#define TEXT_ALIAS(name, field)   TEXT(name, field, "TEXT", "", .hidden = true)
#define SWITCH_ALIAS(name, field) SWITCH(name, field, "", .hidden = true)

static const struct option_row rows[] = {
    OPTION_HEADING("Input"),
    OPTION_WORDS("arg-file", S, arg_files, "read the values from this file; -: standard input", .value = "FILE",
                 .letter = 'a'),
    OPTION_WORDS("argfile", S, arg_files, "", .value = "FILE", .hidden = true),
    TEXT("arg-sep", arg_sep, "TEXT", "this word stands for :::"),
    TEXT_ALIAS("argsep", arg_sep),
    TEXT("arg-file-sep", arg_file_sep, "TEXT", "this word stands for ::::"),
    TEXT_ALIAS("argfilesep", arg_file_sep),
    SWITCH("null", null, "each value ends with a NUL byte", .letter = '0'),
    TEXT("delimiter", delimiter, "BYTE", "each value ends with this byte", .letter = 'd'),
    TEXT("eof", end, "TEXT", "the input ends before this value", .letter = 'E'),
    SWITCH("no-run-if-empty", skip_blank, "leave out values that have only white space", .letter = 'r'),
    SWITCH_ALIAS("norunifempty", skip_blank),
    SWITCH("link", link, "the lists are linked, and shorter ones begin again"),
    SWITCH_ALIAS("xapply", link),
    SWITCH("shuf", shuf, "run the commands in a random order"),
    TEXT("trim", trim, "lr", "leave out the white space at the left (l) or right end (r) of each value"),
    TEXT("colsep", colsep, "SEP", "cut each value into columns at this regular expression", .letter = 'C'),
    TEXT_ALIAS("col-sep", colsep),
    SWITCH("csv", csv, "the input is CSV"),
    TEXT("header", header, ":", "the first value has the name of the column, for {NAME}"),
    TEXT("max-args", max_args, "N",
         "each command gets N values. 0: a command for each value, but the command does not get the value",
         .letter = 'n'),
    TEXT_ALIAS("maxargs", max_args),
    TEXT("max-replace-args", max_replace_args, "N", "the same, and a word with {} is repeated for each of them",
         .letter = 'N'),
    TEXT_ALIAS("maxreplaceargs", max_replace_args),
    TEXT("max-lines", max_lines, "N", "the same as -N; with --pipe, a record has N lines", .letter = 'L'),
    TEXT_ALIAS("maxlines", max_lines),
    SWITCH("many", many, "each command gets as many values as fit into its command line", .letter = 'm'),
    SWITCH("many-words", many_words, "the same, and a word with {} is repeated for each of them", .letter = 'X'),
    SWITCH("xargs", fills, "the same as -m, but the last values are not shared among the commands"),
    TEXT("max-chars", max_chars, "N", "with -m, -X, --xargs, -n or -N: the largest length of a command line, in bytes",
         .letter = 's'),
    TEXT_ALIAS("maxchars", max_chars),
    OPTION_HEADING("Blocks of a large input"),
    SWITCH(
        "pipe", pipe,
        "cut the input into blocks; each command gets a block on its standard input. With -N N, a block has N records"),
    SWITCH_ALIAS("spreadstdin", pipe),
    SWITCH("pipepart", pipe_part, "the same for the file of -a; the file is not copied"),
    SWITCH_ALIAS("pipe-part", pipe_part),
    TEXT("block", block, "BYTES",
         "the largest size of a block; with --pipepart, -2 means two blocks for each command that may run at once"),
    TEXT_ALIAS("blocksize", block),
    TEXT_ALIAS("block-size", block),
    TEXT("recstart", recstart, "TEXT", "a record begins with this text"),
    TEXT("recend", recend, "TEXT", "a record ends with this text, instead of a newline"),
    OPTION_HEADING("The command"),
    TEXT("replace", replace, "TEXT", "this text stands for {}", .letter = 'I'),
    SWITCH("replace-default", replace_default, "the same as -I {}", .letter = 'i'),
    TEXT("extensionreplace", no_extension, "TEXT", "this text stands for {.}"),
    TEXT_ALIAS("er", no_extension),
    TEXT("basenamereplace", name, "TEXT", "this text stands for {/}"),
    TEXT_ALIAS("bnr", name),
    TEXT("dirnamereplace", folder_name, "TEXT", "this text stands for {//}"),
    TEXT_ALIAS("dnr", folder_name),
    TEXT("basenameextensionreplace", name_no_extension, "TEXT", "this text stands for {/.}"),
    TEXT_ALIAS("bner", name_no_extension),
    TEXT("seqreplace", number, "TEXT", "this text stands for {#}"),
    TEXT("slotreplace", slot, "TEXT", "this text stands for {%}"),
    SWITCH("plus", plus, "more placeholders, such as {..} and {%.txt}"),
    SWITCH("quote", quote, "the words of the command are quoted for the shell", .letter = 'q'),
    TEXT("workdir", work_folder, "DIR", "the commands run in this folder"),
    TEXT_ALIAS("work-dir", work_folder),
    TEXT_ALIAS("wd", work_folder),
    OPTION_WORDS("env", S, variables, "without effect: a command has all variables", .value = "NAME"),
    TEXT("process-slot-var", slot_name, "NAME", "the number of the job slot, from 0 on, is in this variable"),
    OPTION_HEADING("Output"),
    SWITCH("keep-order", keep_order, "print the outputs in the order of the values", .letter = 'k'),
    SWITCH_ALIAS("keeporder", keep_order),
    SWITCH("no-keep-order", no_keep_order, "print the outputs as the commands end; this is the default"),
    SWITCH("group", group, "print an output when its command has ended; this is the default"),
    SWITCH("line-buffer", line_buffer, "print each line as soon as it comes. With -k: the same as -k alone"),
    SWITCH("lb", line_buffer, "the same"),
    SWITCH_ALIAS("linebuffer", line_buffer),
    SWITCH_ALIAS("line-buffered", line_buffer),
    SWITCH_ALIAS("linebuffered", line_buffer),
    SWITCH("ungroup", ungroup, "the same as --line-buffer", .letter = 'u'),
    SWITCH("tag", tag, "write the value and a tab before each line of the output and of standard error"),
    TEXT("tagstring", tagstring, "TEXT", "like --tag, with this text instead of the value"),
    TEXT_ALIAS("tag-string", tagstring),
    SWITCH("dry-run", dry_run, "print the command lines, and run nothing"),
    SWITCH_ALIAS("dryrun", dry_run),
    SWITCH("shellquote", quotes_lines, "the same, and each line is quoted for the shell"),
    SWITCH_ALIAS("shell-quote", quotes_lines),
    SWITCH("print-commands", prints_commands, "print the command line before the output", .letter = 'v'),
    SWITCH("verbose", reports_commands, "print the command line on standard error", .letter = 't'),
    TEXT("results", results, "DIR", "write what each command prints to files in this folder, and do not print it"),
    TEXT_ALIAS("result", results),
    TEXT_ALIAS("res", results),
    TEXT("joblog", joblog, "FILE", "write a line for each command that has ended"),
    TEXT_ALIAS("jl", joblog),
    SWITCH("resume", resume, "with --joblog: leave out the values that the log has"),
    SWITCH("resume-failed", resume_failed, "the same, but the values that have failed run again"),
    SWITCH_ALIAS("resumefailed", resume_failed),
    SWITCH("bar", bar, "show a progress line on standard error"),
    SWITCH("eta", eta, "the same"),
    SWITCH("progress", progress, "the same"),
    OPTION_HEADING("How the commands run"),
    TEXT("jobs", jobs, "N", "commands that run at once: N, +N, -N, N% of the processors, or a file with such a number",
         .letter = 'j'),
    TEXT("max-procs", jobs, "N", "the same", .letter = 'P'),
    TEXT_ALIAS("maxprocs", jobs),
    TEXT("timeout", timeout, "S", "kill a command after S seconds, or S% of the median time of the commands"),
    TEXT("retries", retries, "N", "run a failed command up to N times in all"),
    TEXT("halt", halt, "WHEN,WHY", "end the run early, such as now,fail=1"),
    TEXT_ALIAS("halt-on-error", halt),
    TEXT("delay", delay, "S", "least time between the starts of two commands"),
    TEXT("load", load, "N", "start a command only while fewer than N processes of the machine are running"),
    TEXT("memfree", memfree, "BYTES", "start a command only while this much memory is free"),
    TEXT("nice", nice, "N", "added to the niceness of each command"),
    OPTION_HEADING("Without effect"),
    TEXT("sshlogin", host, ":", "may only be :, which is this machine", .letter = 'S'),
    SWITCH("will-cite", ignored, "accepted, without effect"),
    SWITCH("citation", citation, "run nothing"),
    SWITCH("silent", ignored, "accepted, without effect"),
    SWITCH("gnu", ignored, "accepted, without effect"),
    SWITCH("plain", ignored, "accepted, without effect"),
    SWITCH_ALIAS("willcite", ignored),
    SWITCH_ALIAS("no-notice", ignored),
    SWITCH_ALIAS("nn", ignored),
    OPTION_ROWS_END};
#undef S

static const struct option_foreign foreign[] = {{"-l", "give the number: -L N"}, {.next = foreign_options_of_parallel}};

const struct option_spec parallel_option_spec = {
    .program = "fantail parallel",
    .usage = "[option...] [command [argument...]] [::: value...]   or   fantail parallel [option...] < COMMANDS",
    .about =
        "Runs a shell command once for each line of standard input, or for each value after :::, and takes the\n"
        "options of GNU parallel. The words of the command are joined with spaces and run by the shell, and the\n"
        "values are quoted for the shell. Without {} or the like, the value is added at the end. Without a\n"
        "command, each value is a command.\n"
        "\n"
        "The output of a command is printed when the command has ended, unchanged, even that of a failed command.\n"
        "The shell is the one that has started this program.",
    .epilogue =
        "docs/parallel.md lists the differences from GNU parallel. `fantail map --help` describes the placeholders\n"
        "and the options in full.\n"
        "\n"
        "Examples:\n"
        "  fantail parallel gzip -9 ::: *.log\n"
        "  ls *.gz | fantail parallel 'zcat {} | sort -u > {.}.sorted'\n"
        "  fantail parallel -j 4 --joblog log --resume -a urls curl -sSfO\n"
        "  fantail parallel --header : echo {size} {colour} ::: size S M L ::: colour red blue\n"
        "  fantail parallel < commands\n"
        "\n"
        "Exit status: the number of failed commands, up to 101. The status is also 2 for wrong usage,\n"
        "and 3 if the run itself failed; a message then says why. With --halt, the status is the same as that of\n"
        "GNU parallel.",
    .rows = rows,
    .operands = OPTION_OPERANDS_STOP,
    .foreign = foreign,
};
