/* Finds out whether a program can be started on this machine. The program is searched for as a shell does. */
#ifndef FANTAIL_CLI_BASE_PROGRAM_H
#define FANTAIL_CLI_BASE_PROGRAM_H

#include "common/base/base.h"

/* word is a path, or a name to search for in PATH. If it returns false, *why is the reason, which is static. */
MUST_CHECK bool program_can_run(const char *word, const char **why);

#endif
