/* The table of the subcommands. */
#ifndef FANTAIL_CLI_COMMANDS_H
#define FANTAIL_CLI_COMMANDS_H

#include "cli/manual/manual.h"

/* Returns the function of the command; NULL if no command has this name. */
command_run *commands_find(const char *name);
/* The commands in the order of the help, with their texts. */
extern const struct manual commands_manual;

#endif
