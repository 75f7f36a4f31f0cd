/*
 * The subcommands of `fantail` that are in this folder. jobs/jobs.h has the subcommands for durable jobs. A command
 * receives its own arguments (argv[0] is the command's name) and returns the exit status.
 *
 * A folder calls only folders that come after it in this list: main.c and the commands, manual/, jobs/, parallel/,
 * map/ and remote/, options/, reconnect/, runs/, items/, blocks/, records/, fleet/, http/, report/, base/.
 */
#ifndef FANTAIL_CLI_CLI_H
#define FANTAIL_CLI_CLI_H

#include "common/service/option.h"

int command_map(int argc, char **argv);
int command_parallel(int argc, char **argv);
int command_local(int argc, char **argv);
int command_submit(int argc, char **argv);
int command_tasks(int argc, char **argv);
/* Prints the completion for a shell. */
int command_completion(int argc, char **argv);
/* Writes the manual pages and the completions for all shells into a folder; for `make`. */
int command_write_manual(int argc, char **argv);

extern const struct option_spec local_option_spec, submit_option_spec, tasks_option_spec, completion_option_spec;

#endif
