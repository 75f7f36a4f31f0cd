/* Finds the directory of the tasks that a fleet on this machine serves. */
#ifndef FANTAIL_CLI_FLEET_TASKS_DIR_H
#define FANTAIL_CLI_FLEET_TASKS_DIR_H

#include "common/base/base.h"

MUST_CHECK bool directory_exists(const char *path);
/* Returns `given`, or NULL if that directory does not exist. If `given` is NULL, returns ./tasks, or the example tasks
 * if ./tasks does not exist. Relative to the directory of this program, the example tasks are in ../tasks in a build,
 * and in ../share/fantail/tasks in an installation. Returns NULL if none of these directories exists. The result is
 * static, or `given`. */
const char *tasks_dir_find(const char *given);
/* Returns whether the directory has neither a folder nor a program that a worker would take for a task. */
bool tasks_dir_is_empty(const char *dir);

#define TASKS_DIR_HELP                                                                                                 \
    "a directory with one subdirectory per task; the default is ./tasks if it exists, otherwise the example tasks"

#endif
