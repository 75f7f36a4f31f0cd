/* The options of `fantail parallel`, which have the names and the meaning of GNU parallel's. */
#ifndef FANTAIL_CLI_PARALLEL_PARALLEL_OPTIONS_H
#define FANTAIL_CLI_PARALLEL_PARALLEL_OPTIONS_H

#include "common/service/option.h"

/* The strings are what the user wrote, unchecked: `fantail map` checks them. NULL means that the option was not given.
 */
struct parallel_options {
    struct option_words arg_files;
    const char *arg_sep, *arg_file_sep, *delimiter, *colsep, *header, *trim, *end;
    const char *max_args, *max_replace_args, *max_lines, *max_chars;
    bool pipe, pipe_part;
    const char *block, *recstart, *recend;
    bool null, shuf, plus, link, skip_blank, csv, many, many_words, fills;
    const char *replace, *no_extension, *name, *folder_name, *name_no_extension, *number, *slot;
    bool replace_default, quote;
    bool keep_order, no_keep_order, group, ungroup, line_buffer, tag, dry_run, prints_commands, reports_commands;
    const char *tagstring, *joblog, *results;
    bool resume, resume_failed, bar, eta, progress;
    const char *jobs, *timeout, *retries, *halt, *delay, *load, *memfree, *nice, *work_folder;
    const char *slot_name, *host;
    bool quotes_lines;             /* print the command lines, quoted for the shell */
    struct option_words variables; /* --env has no effect: a command has all variables of this program */
    bool citation;                 /* run nothing */
    bool ignored;                  /* options without effect here */
};

extern const struct option_spec parallel_option_spec;

#endif
