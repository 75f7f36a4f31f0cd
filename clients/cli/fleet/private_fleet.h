/*
 * The fleet of one run of `fantail map`, with a temporary directory. Both end with the run. For a command, the
 * directory has one task, which is made from the command line.
 */
#ifndef FANTAIL_CLI_FLEET_PRIVATE_FLEET_H
#define FANTAIL_CLI_FLEET_PRIVATE_FLEET_H

#include "cli/fleet/fleet.h"
#include "cli/fleet/run_dir.h"

struct private_fleet_options {
    const char *tasks_dir; /* used if there is no command */
    char *const *command;  /* NULL-terminated; NULL: none */
    bool items_are_text;   /* the items of the command are text; false: JSON */
    bool values_are_text;  /* the output of the command is text; false: JSON if it can be */
    bool item_to_stdin;    /* the command gets the item on standard input; false: as an argument */
    unsigned workers, processes;
};

struct private_fleet {
    struct fleet *fleet;
    struct locked_dir dir;
    char *tasks_dir; /* of the command; NULL: none */
};

/* Starts the processes and returns at once. False, with a sentence in err, on failure. */
MUST_CHECK bool private_fleet_start(struct private_fleet *p, const struct private_fleet_options *o, char *err,
                                    size_t err_size);
/* Kills all processes of the fleet and removes the directory. A zeroed one is fine. */
void private_fleet_end(struct private_fleet *p);

#endif
