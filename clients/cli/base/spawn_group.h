/*
 * Starts a program in a process group of its own. So Ctrl-C signals only this program, which then ends the child in its
 * own way. The child blocks no signal, and does not inherit the signals that this program handles or ignores.
 */
#ifndef FANTAIL_CLI_BASE_SPAWN_GROUP_H
#define FANTAIL_CLI_BASE_SPAWN_GROUP_H

#include <spawn.h>

#include "common/base/base.h"

/* Starts argv[0], which is a path, or a name that is searched in PATH. Destroys *actions. Returns 0 or an errno. */
MUST_CHECK int spawn_group(pid_t *pid, posix_spawn_file_actions_t *actions, char *const argv[], char *const envp[]);

#endif
