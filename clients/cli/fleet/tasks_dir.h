/* The directory of the tasks that a fleet on this machine serves. */
#ifndef FANTAIL_CLI_FLEET_TASKS_DIR_H
#define FANTAIL_CLI_FLEET_TASKS_DIR_H

/* If `given` is not NULL: that directory, or NULL if it does not exist. Otherwise ./tasks or, if there is none, the
 * example tasks of this program: ../tasks from the directory of the program in a build, ../share/fantail/tasks once
 * installed. NULL if none of them exists. Borrowed: static, or `given`. */
const char *tasks_dir_find(const char *given);

#define TASKS_DIR_HELP                                                                                                 \
    "a directory with one subdirectory per task; the default is ./tasks, or the example tasks if there is none"

#endif
