/* Finds the shell that has started this program. */
#ifndef FANTAIL_CLI_BASE_PARENT_SHELL_H
#define FANTAIL_CLI_BASE_PARENT_SHELL_H

#include "common/base/base.h"

/* Returns the path of the nearest ancestor process that is a shell, or NULL if none is found. The caller frees it. */
char *parent_shell_find(void);

#endif
