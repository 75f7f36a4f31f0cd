/*
 * The subcommands of `fantail` in this folder. `fantail map` is in map/map.h.
 * A command gets its own arguments (argv[0] is the command's name) and returns the exit status.
 *
 * The folders call downwards only: main.c and the commands, then map/, fleet/, http/ and base/.
 */
#ifndef FANTAIL_CLI_CLI_H
#define FANTAIL_CLI_CLI_H

int command_local(int argc, char **argv);
int command_submit(int argc, char **argv);
int command_tasks(int argc, char **argv);

#endif
