/*
 * The subcommands of `fantail` that are in this folder. jobs/jobs.h has the subcommands for durable jobs. A command
 * receives its own arguments (argv[0] is the command's name) and returns the exit status.
 *
 * A folder calls only folders that come after it in this list: main.c and the commands, jobs/, map/, fleet/, http/,
 * base/.
 */
#ifndef FANTAIL_CLI_CLI_H
#define FANTAIL_CLI_CLI_H

int command_map(int argc, char **argv);
int command_local(int argc, char **argv);
int command_submit(int argc, char **argv);
int command_tasks(int argc, char **argv);

#endif
