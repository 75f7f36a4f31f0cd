/* Finds out whether a program can be started on this machine. Searches for the program in the same way as a shell. */
#ifndef FANTAIL_CLI_BASE_PROGRAM_H
#define FANTAIL_CLI_BASE_PROGRAM_H

#include "common/base/base.h"

/* `word` is a path, or a name to search for in PATH. Returns whether the program can be started; if not, *why becomes
 * the reason, a static string. */
MUST_CHECK bool program_can_run(const char *word, const char **why);

#endif
