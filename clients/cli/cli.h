/*
 * What the subcommands of `fantail` share: their table's entries and the exit codes.
 * Every command is a function of its own arguments (argv[0] is the command's name) and returns the exit status.
 */
#ifndef FANTAIL_CLI_CLI_H
#define FANTAIL_CLI_CLI_H

#include "common/base/base.h"

enum exit_status {
    EXIT_OK = 0,
    EXIT_ITEMS_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_JOB_FAILED = 3, /* also: the service could not be reached */
    EXIT_BY_SIGNAL = 128 /* plus the signal's number, as shells do */
};

int command_local(int argc, char **argv);
int command_map(int argc, char **argv);
int command_submit(int argc, char **argv);
int command_tasks(int argc, char **argv);

/* "fantail: " + message + newline on standard error. */
void complain(const char *fmt, ...) PRINTF_LIKE(1, 2);

#endif
