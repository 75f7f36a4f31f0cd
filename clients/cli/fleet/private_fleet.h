/*
 * A fleet of one run: started for it, and gone with it, its temporary directory included. In command mode it brings
 * its one task with it, made of the command line.
 */
#ifndef FANTAIL_CLI_FLEET_PRIVATE_FLEET_H
#define FANTAIL_CLI_FLEET_PRIVATE_FLEET_H

#include "cli/fleet/fleet.h"
#include "cli/fleet/run_dir.h"

struct private_fleet_options {
    const char *tasks_dir; /* without a command */
    char *const *command;  /* NULL-ended; NULL: none */
    bool items_are_text;   /* of the command: its items are text and not JSON ... */
    bool values_are_text;  /* ... and so is what it prints */
    bool item_to_stdin;    /* the command gets the item on standard input, not as an argument */
    unsigned workers, processes;
};

struct private_fleet {
    struct fleet *fleet;
    struct run_dir dir;
};

/* Starts the processes and returns at once. False with a sentence in err. */
MUST_CHECK bool private_fleet_start(struct private_fleet *p, const struct private_fleet_options *o, char *err,
                                    size_t err_size);
/* Kills what runs and removes the directory. A zeroed one is fine. */
void private_fleet_end(struct private_fleet *p);

#endif
