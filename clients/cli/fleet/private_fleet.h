/*
 * The fleet of one run of `fantail map`, and its temporary directory. When the run ends, the fleet is ended and the
 * directory is removed. If the run maps a command, the directory has one task, made from the command line.
 */
#ifndef FANTAIL_CLI_FLEET_PRIVATE_FLEET_H
#define FANTAIL_CLI_FLEET_PRIVATE_FLEET_H

#include "cli/fleet/fleet.h"
#include "cli/fleet/run_dir.h"

struct private_fleet_options {
    const char *tasks_dir;   /* used only without a command */
    char *const *command;    /* NULL-terminated; NULL: none */
    bool items_are_text;     /* whether the items of the command are text; if not, they are JSON */
    bool items_are_rows;     /* whether the items of the command are rows (item_lists.h) */
    const char *placeholder; /* stands for the item in the command; NULL: {} */
    bool values_are_text;    /* whether the output of the command is text; if not, it is JSON where possible */
    bool item_to_stdin;      /* whether the command gets the item on standard input; if not, as an argument */
    unsigned workers, processes;
};

struct private_fleet {
    struct fleet *fleet;
    struct locked_dir dir;
    char *tasks_dir; /* tasks directory of the command; NULL: none */
};

/* Starts the processes and does not wait for them. On failure returns false and writes a sentence to err. */
MUST_CHECK bool private_fleet_start(struct private_fleet *p, const struct private_fleet_options *o, char *err,
                                    size_t err_size);
/* Kills all processes of the fleet and removes the directory. A zeroed struct is fine. */
void private_fleet_end(struct private_fleet *p);

#endif
