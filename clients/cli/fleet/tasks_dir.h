/* Which tasks a fleet on this machine serves when nobody says. */
#ifndef FANTAIL_CLI_FLEET_TASKS_DIR_H
#define FANTAIL_CLI_FLEET_TASKS_DIR_H

/* `given` when it is a directory. Without one (NULL) the first that exists of ./tasks and of the example tasks that
 * came with this program: ../tasks of its own directory in a build, ../share/fantail/tasks once installed. NULL when
 * there is none. Borrowed: static, or `given`. */
const char *tasks_dir_find(const char *given);

#define TASKS_DIR_HELP                                                                                                 \
    "the directory with one subdirectory for each task; ./tasks, or else the examples that came along"

#endif
