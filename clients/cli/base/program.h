/* Whether a command can be started here, as a shell would look for it. */
#ifndef FANTAIL_CLI_BASE_PROGRAM_H
#define FANTAIL_CLI_BASE_PROGRAM_H

#include "common/base/base.h"

/* word: a path, or a name to be searched in PATH. If false, *why says so in words that need not be freed. */
MUST_CHECK bool program_can_run(const char *word, const char **why);

#endif
