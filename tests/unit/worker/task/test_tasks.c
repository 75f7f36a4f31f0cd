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
                  "\"idempotent\":false,\"description\":\"d\",\"envelope\":false,\"common\":true,"
                  "\"signature\":\"a -> b\",\"example\":{\"x\": [1, \"y\"]}}");
    cr_assert_null(t->error, "%s", t->error);
    cr_assert_eq(t->mode, TASK_STREAM);
    cr_assert_str_eq(t->signature, "a -> b");
    cr_assert_str_eq(t->example, "{\"x\":[1,\"y\"]}");
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
        {"{\"command\":\"cat -u\"}", "there is no program \"cat -u\". Write the program and its arguments as an array"},
        {"{\"command\":\"wc -c\",\"mode\":\"exec\"}", "there is no program \"wc -c\""},
        {"{\"command\":\"m:f\",\"mode\":\"python\",\"batch\":0}", "\"batch\" must be a whole number from 1 to 1024"},
        {"{\"command\":\"m:f\",\"mode\":\"python\",\"batch\":1025}", "\"batch\" must be a whole number from 1 to 1024"},
        {"{\"command\":\"m:f\",\"mode\":\"python\",\"batch\":\"8\"}", "\"batch\" must be a whole number"},
        {"{\"command\":\"x\",\"batch\":8}", "\"batch\" is for mode python only"},
        {"{\"command\":\"m:f\",\"mode\":\"python\",\"batch\":8,\"idempotent\":false}",
         "\"batch\" needs items that may run again: \"idempotent\" cannot be false"},
        {"{\"command\":\"m:f\",\"mode\":\"python\",\"concurrency\":0}",
         "\"concurrency\" must be a whole number from 1 to 10000"},
        {"{\"command\":\"m:f\",\"mode\":\"python\",\"concurrency\":10001}", "\"concurrency\" must be a whole number"},
        {"{\"command\":\"m:f\",\"mode\":\"python\",\"concurrency\":2.5}", "\"concurrency\" must be a whole number"},
        {"{\"command\":\"m:f\",\"mode\":\"python\",\"concurrency\":true}", "\"concurrency\" must be a whole number"},
        {"{\"command\":\"x\",\"mode\":\"exec\",\"concurrency\":8}",
         "\"concurrency\" is for mode python, and for mode stream with \"ids\""},
        {"{\"command\":\"x\",\"mode\":\"native\",\"concurrency\":8}", "\"concurrency\" is for mode python"},
        {"{\"command\":\"x\",\"concurrency\":8}", "\"concurrency\" is for mode python"},
        {"{\"command\":\"m:f\",\"mode\":\"python\",\"concurrency\":8,\"batch\":8}",
         "\"batch\" and \"concurrency\" cannot be given together"},
        {"{\"command\":\"x\",\"ids\":true,\"concurrency\":8,\"idempotent\":false}",
         "\"concurrency\" needs items that may run again: \"idempotent\" cannot be false"},
        {"{\"command\":\"m:f\",\"mode\":\"python\",\"setup\":\"m\"}",
         "\"setup\" must be a string of the form module:function"},
        {"{\"command\":\"m:f\",\"mode\":\"python\",\"setup\":\":f\"}", "\"setup\" must be a string"},
        {"{\"command\":\"m:f\",\"mode\":\"python\",\"setup\":1}", "\"setup\" must be a string"},
        {"{\"command\":\"m:f\",\"mode\":\"python\",\"python\":1}", "\"python\" must be a path"},
        {"{\"command\":\"m:f\",\"mode\":\"python\",\"venv\":\"\"}", "\"venv\" must be a path"},
        {"{\"command\":\"m:f\",\"mode\":\"python\",\"venv\":\"a\",\"python\":\"b\"}",
         "\"python\" and \"venv\" cannot be given together"},
        {"{\"command\":\"x\",\"setup\":\"m:f\"}", "\"setup\" is for mode python only"},
        {"{\"command\":\"x\",\"python\":\"p\"}", "\"python\" is for mode python only"},
        {"{\"command\":\"x\",\"venv\":\"v\",\"mode\":\"exec\"}", "\"venv\" is for mode python only"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct task *t = load_json(cases[i].json);
        cr_assert_not_null(t->error, "%s", cases[i].json);
        cr_assert_not_null(strstr(t->error, cases[i].reason), "%s", t->error);
        cr_assert_not_null(strstr(t->error, "/t/task.json"), "the file is named: %s", t->error);
        task_unref(t);
    }
    assert_no_leaks();
}

Test(tasks, a_missing_host_program_is_named_with_where_to_get_it)
{
    static const struct {
        const char *json, *reason;
    } cases[] = {
        {"{\"command\":\"a:b\",\"mode\":\"python\"}", "no host program /nowhere/fantail-host-python, which runs Python "
                                                      "tasks. The image fantail-worker-python has it"},
        {"{\"command\":\"./a.so\",\"mode\":\"native\"}",
         "no host program /nowhere/fantail-host-native; see --hosts-dir"},
        {"{\"command\":\"a\",\"mode\":\"exec\"}", "no host program /nowhere/fantail-host-exec; see --hosts-dir"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct task *t = load_json(cases[i].json);
        cr_assert(t->error && strstr(t->error, cases[i].reason), "%s", t->error);
        task_unref(t);
    }
    assert_no_leaks();
}

static void assert_python_words(const char *json, const char *program, const char *expected)
{
    char hosts[80], words[400] = "", path[100];
    snprintf(hosts, sizeof hosts, "%s/hosts", dir);
    put("t/task.json", json, 0644);
    struct task *t = task_load(dir, "t", hosts);
    cr_assert_null(t->error, "%s", t->error);
    for (const char **word = t->argv; *word; word++) {
        const char *text = strncmp(*word, dir, strlen(dir)) == 0 ? *word + strlen(dir) : *word;
        snprintf(words + strlen(words), sizeof words - strlen(words), "%s ", text);
    }
    cr_assert_str_eq(words, expected);
    snprintf(path, sizeof path, "%s%s", dir, program);
    cr_assert_str_eq(t->path, path);
    cr_assert_str_eq(t->command[0], "m:f");
    task_unref(t);
}

Test(tasks, a_python_task_names_its_interpreter_its_setup_and_its_batches)
{
    put("hosts/fantail-host-python", "", 0755);
    put("t/python9", "", 0755);
    put("t/bin/python", "", 0755);
    assert_python_words("{\"command\":\"m:f\",\"mode\":\"python\"}", "/hosts/fantail-host-python",
                        "/hosts/fantail-host-python --folder /t m:f ");
    assert_python_words("{\"command\":\"m:f\",\"mode\":\"python\",\"batch\":4,\"setup\":\"m:load\"}",
                        "/hosts/fantail-host-python",
                        "/hosts/fantail-host-python --folder /t --batch 4 --setup m:load m:f ");
    assert_python_words("{\"command\":\"m:f\",\"mode\":\"python\",\"concurrency\":500}", "/hosts/fantail-host-python",
                        "/hosts/fantail-host-python --folder /t --concurrency 500 m:f ");
    assert_python_words("{\"command\":\"m:f\",\"mode\":\"python\",\"venv\":\".\"}", "/t/./bin/python",
                        "/t/./bin/python /hosts/fantail-host-python --folder /t m:f ");
    assert_python_words("{\"command\":\"m:f\",\"mode\":\"python\",\"python\":\"python9\"}", "/t/python9",
                        "/t/python9 /hosts/fantail-host-python --folder /t m:f ");
    assert_no_leaks();
}

Test(tasks, a_task_that_runs_elsewhere_still_finds_its_own_files)
{
    char script[100], data[100], program[100];
    snprintf(script, sizeof script, "%s/t/bin/run.sh", dir);
    snprintf(data, sizeof data, "%s/t/bin/../data", dir);
    snprintf(program, sizeof program, "%s/t/run", dir);
    put("t/data", "", 0644);
    put("t/run", "#!/bin/sh\n", 0755);
    put("t/bin/run.sh", "#!/bin/sh\n", 0755);
    struct task *t = load_json("{\"command\":[\"sh\",\"bin/run.sh\",\"bin\",\"bin/../data\",\"--x=data\",\"none\"]}");
    task_run_in(t, "/elsewhere");
    cr_assert_str_eq(t->cwd, "/elsewhere");
    const char *const words[] = {"sh", script, "bin", data, "--x=data", "none"};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) cr_assert_str_eq(t->command[i], words[i]);
    task_unref(t);
    t = load_json("{\"command\":\"./run\"}");
    task_run_in(t, "/elsewhere");
    snprintf(program, sizeof program, "%s/t/./run", dir);
    cr_assert_str_eq(t->command[0], program);
    cr_assert_str_eq(t->path, program);
    task_unref(t);
    assert_no_leaks();
}

Test(tasks, a_task_that_says_where_it_runs_runs_there)
{
    char folder[100];
    snprintf(folder, sizeof folder, "%s/t", dir);
    struct task *t = load_json("{\"command\":\"cat\",\"cwd\":\".\"}");
    task_run_in(t, "/elsewhere");
    cr_assert_str_eq(t->cwd, folder);
    task_unref(t);
    t = load_json("{\"command\":\"cat\",\"cwd\":\"/given\"}");
    task_run_in(t, "/elsewhere");
    cr_assert_str_eq(t->cwd, "/given");
    cr_assert_str_eq(t->folder, folder);
    task_unref(t);
    assert_no_leaks();
}

Test(tasks, an_interpreter_that_is_missing_makes_the_task_unusable)
{
    static const struct {
        const char *json, *reason;
    } cases[] = {
        {"{\"command\":\"m:f\",\"mode\":\"python\",\"venv\":\"/no/venv\"}",
         "\"venv\": there is no virtual environment with a program /no/venv/bin/python: No such file"},
        {"{\"command\":\"m:f\",\"mode\":\"python\",\"python\":\"/no/python3\"}",
         "\"python\": there is no program /no/python3: No such file"},
    };
    char hosts[80];
    snprintf(hosts, sizeof hosts, "%s/hosts", dir);
    put("hosts/fantail-host-python", "", 0755);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        put("t/task.json", cases[i].json, 0644);
        struct task *t = task_load(dir, "t", hosts);
        cr_assert(t->error && strstr(t->error, cases[i].reason), "%s", t->error);
        task_unref(t);
    }
    assert_no_leaks();
}

Test(tasks, a_program_may_have_a_space_in_its_name)
{
    put("t/my program", "#!/bin/sh\n", 0755);
    struct task *t = load_json("{\"command\":\"./my program\"}");
    cr_assert_null(t->error, "%s", t->error);
    task_unref(t);
    assert_no_leaks();
}

Test(tasks, a_task_json_means_one_thing_or_is_refused_with_the_byte)
{
    static const struct {
        const char *json, *reason;
    } cases[] = {
        {"{\"command\":\"x\",\"command\":\"y\"}", "at byte 15: an object has the same name twice"},
        {"{\"command\":\"x\",\"\\u0063ommand\":\"y\"}", "at byte 15: an object has the same name twice"},
        {"{\"command\":\"x\",\"env\":{\"A\":\"1\",\"A\":\"2\"}}", "at byte 30: an object has the same name twice"},
        {"{\"command\\u0000\":\"x\"}", "at byte 1: a string has the NUL"},
        {"{\"command\":\"x\\u0000y\"}", "at byte 11: a string has the NUL"},
        {"{\"command\":[\"x\",\"\\ud800\"]}", "at byte 16: a string has half"},
        {"{\"command\":\"\xff\"}", "at byte 12: a string is not valid UTF-8"},
        {"\xEF\xBB\xBF{\"command\":1,}", "at byte 16: a name"},
        {"\xFE\xFF", "is in UTF-16 (big endian)"},
        {"\xFF\xFE{", "is in UTF-16 (little endian)"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct task *t = load_json(cases[i].json);
        cr_assert(t->error && strstr(t->error, cases[i].reason), "%s: %s", cases[i].json, t->error);
        cr_assert(strstr(t->error, "/t/task.json"), "the file is named: %s", t->error);
        task_unref(t);
    }
    struct task *t = load_json("\xEF\xBB\xBF{\"command\":[\"cat\",\"\\ud834\\udd1e\"]}");
    cr_assert_null(t->error, "%s", t->error);
    cr_assert_str_eq(t->argv[1], "\xF0\x9D\x84\x9E");
    task_unref(t);
    assert_no_leaks();
}

Test(tasks, a_task_json_that_is_no_file_or_has_no_end_makes_the_task_unusable_at_once)
{
    char path[200];
    mode_t kinds[] = {S_IFIFO, S_IFDIR, S_IFLNK, S_IFREG};
    put("t/other", "", 0644);
    snprintf(path, sizeof path, "%s/t/task.json", dir);
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (kinds[i] == S_IFIFO) cr_assert_eq(mkfifo(path, 0600), 0);
        if (kinds[i] == S_IFDIR) cr_assert_eq(mkdir(path, 0700), 0);
        if (kinds[i] == S_IFLNK) cr_assert_eq(symlink("/dev/zero", path), 0);
        if (kinds[i] == S_IFREG) put("t/task.json", "", 0644);
        if (kinds[i] == S_IFREG) cr_assert_eq(truncate(path, (off_t)1 << 40), 0);
        struct task *t = task_load(dir, "t", "/nowhere");
        const char *reason = kinds[i] == S_IFREG ? "longer than 1048576 bytes" : "not a regular file";
        cr_assert(t->error && strstr(t->error, path) && strstr(t->error, reason), "%s", t->error);
        task_unref(t);
        remove(path);
    }
    assert_no_leaks();
}

Test(tasks, a_folder_that_no_job_can_name_is_a_task_with_the_reason)
{
    static const struct {
        const char *folder, *shown;
    } cases[] = {
        {"h\xC3\xA9llo", "h\xC3\xA9llo"},
        {"\xD0\xB7\xD0\xB0\xD0\xB4\xD0\xB0\xD1\x87\xD0\xB0", "\xD0\xB7\xD0\xB0\xD0\xB4\xD0\xB0\xD1\x87\xD0\xB0"},
        {"caf\xE9", "caf\\xE9"},
        {"two words", "two words"},
        {"a\nb", "a\nb"},
    };
    struct task_set set;
    char err[200], name[200];
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        snprintf(name, sizeof name, "%s/task.json", cases[i].folder);
        put(name, "{\"command\":\"cat\"}", 0644);
    }
    put("good-1.task_", "#!/bin/sh\n", 0755);
    cr_assert(task_set_load(&set, NULL, dir, dir, err, sizeof err), "%s", err);
    cr_assert_eq(set.count, ARRAY_SIZE(cases) + 1);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct task *t = task_set_find(&set, cases[i].shown);
        cr_assert(t && t->error && strstr(t->error, "this is not a valid task name"), "%s", cases[i].shown);
    }
    task_set_release(&set);
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
    cr_assert_not(task_set_load(&set, NULL, dirs, dir, err, sizeof err));
    cr_assert_not_null(strstr(err, "/nowhere/at/all"));
    cr_assert_eq(set.count, 3);
    cr_assert_str_eq(set.list[0]->name, "a");
    cr_assert_eq(task_set_find(&set, "b")->mode, TASK_EXEC);
    cr_assert_not_null(task_set_find(&set, "broken")->error);
    cr_assert_null(task_set_find(&set, "README.md"));
    task_set_release(&set);
    assert_no_leaks();
}
