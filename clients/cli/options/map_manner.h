/* How a run of `fantail parallel` differs from one of `fantail map`. */
#ifndef FANTAIL_CLI_OPTIONS_MAP_MANNER_H
#define FANTAIL_CLI_OPTIONS_MAP_MANNER_H

#include <stdbool.h>

/* What `fantail parallel` needs and no option of `fantail map` can express. A zeroed struct changes nothing. */
struct map_manner {
    const char *program; /* the name of the command in messages; NULL: fantail map */
    bool is_parallel;    /* the exit status and the variables of commands are those of GNU parallel */
    bool is_code;        /* the values are not quoted for the shell */
    bool ignores_items;  /* the command does not get the item */
    bool quotes_words;   /* with --shell: each word of the command is quoted after the values have been put into it */
    bool fills;          /* with --many or --many-words: the last lines are not shared among the commands */
    bool prints_commands, reports_commands; /* print the command line first, on standard output or on standard error */
    bool hides_output;                      /* the output is not printed */
    bool quotes_lines;                      /* with --dry-run: the command lines are printed quoted for the shell */
    const char *slot_name;                  /* the variable that has the number of the slot, from 0 on; NULL: none */
    unsigned record_lines;                  /* with --pipe: how many lines a record has; 0: one */
    const char *shell;                      /* for --shell; NULL: $SHELL or /bin/sh */
    const char *folder;                     /* the folder in which the command runs; NULL: the current one */
};

#endif
