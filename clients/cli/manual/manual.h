/*
 * The manual of `fantail`: manual pages, and the completions for three shells. The whole manual is made from the tables
 * of options and the texts that --help prints.
 */
#ifndef FANTAIL_CLI_MANUAL_MANUAL_H
#define FANTAIL_CLI_MANUAL_MANUAL_H

#include <stdio.h>

#include "common/service/option.h"

typedef int command_run(int argc, char **argv);

/* A command of the program. */
struct manual_command {
    const char *name, *help;
    const struct option_spec *spec;
    command_run *run; /* the manual does not use it */
};

/* The program. Its own texts are in `spec`; this spec has no options. */
struct manual {
    const struct option_spec *spec;
    const struct manual_command *commands;
    size_t count;
};

/* Writes the page fantail(1), which lists the commands. */
void manual_write_main_page(FILE *out, const struct manual *m);
/* Writes the page of the command, such as fantail-map(1). */
void manual_write_page(FILE *out, const struct manual *m, const struct manual_command *c);

/* Writes the completion for the shell. Returns false if the shell is not one of manual_shells. */
MUST_CHECK bool manual_write_completion(FILE *out, const struct manual *m, const char *shell);
extern const char *const manual_shells[]; /* NULL-ended */

#endif
