/* The environment of a task process. */
#include "worker/task/environment.h"

#include <stdlib.h>

#include "unit/leaks.h"

static const char **own(const char *a, const char *b)
{
    const char **list = xcalloc(3, sizeof *list);
    size_t n = 0;
    if (a) list[n++] = xstrdup(a);
    if (b) list[n++] = xstrdup(b);
    return list;
}

static unsigned count(const char *const *list, const char *variable)
{
    unsigned n = 0;
    for (size_t i = 0; list[i]; i++) n += strcmp(list[i], variable) == 0;
    return n;
}

static unsigned count_name(const char *const *list, const char *name)
{
    unsigned n = 0;
    size_t len = strlen(name);
    for (size_t i = 0; list[i]; i++) n += strncmp(list[i], name, len) == 0 && list[i][len] == '=';
    return n;
}

Test(environment, task_json_replaces_a_variable_of_the_worker)
{
    setenv("LANG_OF_TEST", "worker", 1);
    setenv("LANG_OF_TEST_2", "stays", 1);
    const char **list = environment_of_task(own("LANG_OF_TEST=task", "EMPTY="), "square", "/tasks/square");
    cr_assert_eq(count(list, "LANG_OF_TEST=task"), 1);
    cr_assert_eq(count_name(list, "LANG_OF_TEST"), 1);
    cr_assert_eq(count(list, "LANG_OF_TEST_2=stays"), 1);
    cr_assert_eq(count(list, "EMPTY="), 1);
    cr_assert_eq(count(list, "FANTAIL_TASK=square"), 1);
    cr_assert_eq(count(list, "FANTAIL_TASK_FOLDER=/tasks/square"), 1);
    environment_free(list);
}

Test(environment, what_the_worker_inherited_of_ours_is_dropped)
{
    static const char *const names[] = {"FANTAIL_TASK",   "FANTAIL_TASK_FOLDER", "FANTAIL_PROCESS",
                                        "FANTAIL_WORKER", "TRACEPARENT",         "TRACESTATE"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) setenv(names[i], "inherited", 1);
    setenv("TMPDIR_OF_MINE", "kept", 1);
    const char **list = environment_of_task(NULL, "square", "/tasks/square");
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) cr_assert_eq(count_name(list, names[i]), i < 2, "%s", names[i]);
    cr_assert_eq(count(list, "TMPDIR_OF_MINE=kept"), 1);
    environment_free(list);
}

Test(environment, a_process_has_its_mark_its_folder_and_its_worker)
{
    const char **of_task = environment_of_task(own("TMPDIR=/of/task", NULL), "square", "/tasks/square");
    const struct environment_process p = {.worker = 12, .token = 34, .scratch = "/tmp/x", .worker_id = "w1"};
    const char **list = environment_of_process(of_task, &p);
    cr_assert_eq(count(list, "FANTAIL_PROCESS=12-34"), 1);
    cr_assert_eq(count(list, "FANTAIL_WORKER=w1"), 1);
    cr_assert_eq(count(list, "TMPDIR=/tmp/x"), 1);
    cr_assert_eq(count_name(list, "TMPDIR"), 1);
    environment_free(list);
    environment_free(of_task);
}

Test(environment, a_process_without_a_folder_has_the_tmpdir_of_its_worker)
{
    setenv("TMPDIR", "/of/worker", 1);
    const char **of_task = environment_of_task(NULL, "square", "/tasks/square");
    const struct environment_process p = {.worker = 12, .token = 34, .worker_id = "w1"};
    const char **list = environment_of_process(of_task, &p);
    cr_assert_eq(count(list, "TMPDIR=/of/worker"), 1);
    cr_assert_eq(count_name(list, "TMPDIR"), 1);
    environment_free(list);
    environment_free(of_task);
}
