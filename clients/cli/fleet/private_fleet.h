/*
 * The fleet of one run of `fantail map`, and its temporary directory. When the run ends, the fleet is ended and the
 * directory is removed. If the run maps a command, the directory has one task, made from the command line.
 */
#ifndef FANTAIL_CLI_FLEET_PRIVATE_FLEET_H
#define FANTAIL_CLI_FLEET_PRIVATE_FLEET_H

#include "cli/fleet/command_task.h"
#include "cli/fleet/fleet.h"
#include "cli/fleet/gate_file.h"
#include "cli/fleet/run_dir.h"

struct private_fleet_options {
    const char *tasks_dir;              /* used only without a command */
    const struct command_task *command; /* NULL: none */
    unsigned workers, processes;        /* with a command, `processes` is not 0 */
};

struct private_fleet {
    struct fleet *fleet;
    struct locked_dir dir;
    char *tasks_dir;       /* tasks directory of the command; NULL: none */
    struct gate_file gate; /* of the command */
    int lines_fd;          /* named pipe with the lines that the command prints, if they are passed on; -1: none */
};

/* Starts the processes and does not wait for them. On failure returns false and writes a sentence to err. */
MUST_CHECK bool private_fleet_start(struct private_fleet *p, const struct private_fleet_options *o, char *err,
                                    size_t err_size);
/* Kills all processes of the fleet and removes the directory. May also be called for a fleet that was never started:
 * the struct must then be zeroed, except that lines_fd must be -1. */
void private_fleet_end(struct private_fleet *p);

#endif
