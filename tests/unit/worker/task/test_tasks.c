#include <criterion/criterion.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/leaks.h"
#include "worker/task/task.h"

static char dir[64];

static void make_dir(void)
{
    snprintf(dir, sizeof dir, "/tmp/fantail-test-tasks-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
}

static void put(const char *name, const char *text, mode_t mode)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    mkdir(path, 0755);
    *slash = '/';
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
    chmod(path, mode);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    return remove(path);
}

static void remove_dir(void)
{
    cr_assert_eq(nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

TestSuite(tasks, .init = make_dir, .fini = remove_dir);

static struct task *load_json(const char *json)
{
    put("t/task.json", json, 0644);
    return task_load(dir, "t", "/nowhere");
}

Test(tasks, a_stream_task_is_read_with_all_its_fields)
{
    struct task *t =
        load_json("{\"mode\":\"stream\",\"command\":[\"cat\",\"-u\"],\"processes\":3,\"item_timeout_s\":1.5,"
                  "\"memory_bytes\":2000000,\"max_items_per_process\":7,\"env\":{\"A\":\"b c\"},"
                  "\"idempotent\":false,\"description\":\"d\",\"envelope\":false,\"common\":true}");
    cr_assert_null(t->error, "%s", t->error);
    cr_assert_eq(t->mode, TASK_STREAM);
    cr_assert_eq(t->processes, 3);
    cr_assert_eq(t->item_timeout_ns, 1500 * NS_PER_MS);
    cr_assert_eq(t->memory_bytes, 2000000);
    cr_assert_eq(t->max_items_per_process, 7);
    cr_assert(t->idempotent == IDEMPOTENCY_NO && !t->envelope && t->common);
    cr_assert_eq(t->path[0], '/', "found in PATH");
    cr_assert_str_eq(t->argv[0], "cat");
    cr_assert_str_eq(t->argv[1], "-u");
    bool found = false;
    for (size_t i = 0; t->env[i]; i++) found |= strcmp(t->env[i], "A=b c") == 0;
    cr_assert(found);
    task_unref(t);
    assert_no_leaks();
}

Test(tasks, a_broken_task_json_keeps_its_reason)
{
    static const struct {
        const char *json, *reason;
    } cases[] = {
        {"{\"command\":", "not valid JSON"},
        {"[]", "must be an object"},
        {"{}", "\"command\" is missing"},
        {"{\"command\":[]}", "\"command\""},
        {"{\"command\":[1]}", "\"command\""},
        {"{\"command\":\"x\",\"mode\":\"magic\"}", "\"mode\""},
        {"{\"command\":\"x\",\"proceses\":1}", "unknown field \"proceses\""},
        {"{\"command\":\"x\",\"processes\":0}", "\"processes\""},
        {"{\"command\":\"x\",\"processes\":1.5}", "\"processes\""},
        {"{\"command\":\"x\",\"item_timeout_s\":-1}", "\"item_timeout_s\""},
        {"{\"command\":\"x\",\"env\":{\"A\":1}}", "\"env\""},
        {"{\"command\":\"x\",\"envelope\":\"no\"}", "\"envelope\""},
        {"{\"command\":\"x\",\"mode\":\"exec\",\"output\":\"xml\"}", "\"output\""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct task *t = load_json(cases[i].json);
        cr_assert_not_null(t->error, "%s", cases[i].json);
        cr_assert_not_null(strstr(t->error, cases[i].reason), "%s", t->error);
        task_unref(t);
    }
    assert_no_leaks();
}

Test(tasks, directories_and_executables_are_tasks_and_other_files_are_not)
{
    put("a/task.json", "{\"command\":\"cat\"}", 0644);
    put("b", "#!/bin/sh\n", 0755);
    put("README.md", "no task", 0644);
    put("broken/task.json", "{", 0644);
    struct task_set set;
    char err[200], dirs[200];
    snprintf(dirs, sizeof dirs, "%s:/nowhere/at/all:%s", dir, dir);
    cr_assert_not(task_set_load(&set, dirs, dir, err, sizeof err));
    cr_assert_not_null(strstr(err, "/nowhere/at/all"));
    cr_assert_eq(set.count, 3);
    cr_assert_str_eq(set.list[0]->name, "a");
    cr_assert_eq(task_set_find(&set, "b")->mode, TASK_EXEC);
    cr_assert_not_null(task_set_find(&set, "broken")->error);
    cr_assert_null(task_set_find(&set, "README.md"));
    task_set_release(&set);
    assert_no_leaks();
}
