/* Changes to files in folders of tasks are reported with the name of the task. */
#include "worker/watch.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/files/remove_tree.h"
#include "common/observe/log.h"
#include "unit/leaks.h"

static uv_loop_t loop;
static struct watch *watch;
static char root[] = "/tmp/fantail-test-watch-XXXXXX", dirs[60];
static struct buf seen; /* the names that were reported, separated by spaces; "*" for all */
static unsigned reports;
static bool writes; /* the answer of writes_itself() */
static const char *rewrites;

static const char *path_of(const char *name)
{
    static char path[4][200];
    static unsigned at;
    char *to = path[at++ % 4];
    snprintf(to, sizeof path[0], "%s/%s", root, name);
    return to;
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(path_of(name), "we");
    cr_assert(f, "%s", path_of(name));
    fputs(text, f);
    cr_assert_eq(fclose(f), 0);
}

static void make(const char *name)
{
    cr_assert_eq(mkdir(path_of(name), 0755), 0, "%s", path_of(name));
}

static void on_changed(void *data, const char *const *names)
{
    reports++;
    for (size_t i = 0; names && names[i]; i++) buf_addf(&seen, "%s ", names[i]);
    if (!names) buf_add_str(&seen, "* ");
    if (rewrites) put(rewrites, "again");
}

static bool on_writes_itself(void *data, const char *task, uint64_t at_ns)
{
    cr_assert_str_eq(task, "words");
    cr_assert_leq(at_ns, now_ns());
    return writes;
}

static void begin(void)
{
    static const struct watch_hooks hooks = {.changed = on_changed, .writes_itself = on_writes_itself};
    log_set_level(LOG_LEVEL_COUNT); /* logs nothing */
    cr_assert(mkdtemp(root));
    make("tasks");
    make("tasks/words");
    make("tasks/words/lib");
    make("other");
    put("tasks/words/task.json", "{}");
    put("other/real.awk", "1");
    cr_assert_eq(symlink(path_of("other/real.awk"), path_of("tasks/words/linked.awk")), 0);
    snprintf(dirs, sizeof dirs, "%s/tasks", root);
    uv_loop_init(&loop);
    watch = watch_start(&loop, dirs, &hooks, NULL);
}

static void end(void)
{
    watch_stop(watch);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0);
    buf_release(&seen);
    remove_tree(root);
    assert_no_leaks();
}

TestSuite(watch, .init = begin, .fini = end, .timeout = 100);

static size_t seen_names(void)
{
    size_t n = 0;
    for (size_t i = 0; i < seen.len; i++) n += seen.data[i] == ' ';
    return n;
}

/* Runs the loop until there is a report, and checks its names. */
static void expect(const char *what, const char *names)
{
    unsigned before = reports;
    buf_clear(&seen);
    while (reports == before) uv_run(&loop, UV_RUN_ONCE);
    cr_assert_str_eq(buf_cstr(&seen), names, "%s: %s", what, buf_cstr(&seen));
}

/* Checks that a change is not reported: the next report is about a later change. */
static void expect_nothing(void)
{
    static int n;
    char name[40];
    uv_run(&loop, UV_RUN_NOWAIT);
    snprintf(name, sizeof name, "tasks/new%d", n);
    make(name);
    snprintf(name, sizeof name, "new%d ", n++);
    expect("a later change", name);
}

Test(watch, any_regular_file_of_a_task_counts)
{
    static const char *const names[] = {"task.json", "a.awk",  "b.sed",  "c.R",   "d.jl",      "e.ts",
                                        "f.cjs",     "g.wasm", "config", "h.csv", "lib/i.yaml"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char name[40];
        snprintf(name, sizeof name, "tasks/words/%s", names[i]);
        put(name, "1");
        expect(name, "words ");
    }
    cr_assert_eq(unlink(path_of("tasks/words/h.csv")), 0);
    expect("a file that is gone", "words ");
}

Test(watch, what_a_task_may_have_written_itself_does_not_count_unless_it_is_code)
{
    writes = true;
    put("tasks/words/state.json", "1");
    put("tasks/words/lib/log", "1");
    expect_nothing();
    put("tasks/words/lib/module.py", "1");
    expect("a module", "words ");
    put("tasks/words/program", "1");
    expect_nothing();
    cr_assert_eq(chmod(path_of("tasks/words/program"), 0755), 0);
    expect("a program", "words ");
}

Test(watch, names_of_editors_and_caches_and_odd_files_do_not_count)
{
    put("tasks/words/.a.swp", "1");
    put("tasks/words/_cache", "1");
    cr_assert_eq(mkfifo(path_of("tasks/words/fifo"), 0600), 0);
    expect_nothing();
}

Test(watch, a_link_is_watched_at_the_place_of_its_file)
{
    put("other/real.awk", "2");
    expect("a change in place", "words ");
    put("other/unrelated", "1");
    expect_nothing();
    put("other/new", "3");
    cr_assert_eq(rename(path_of("other/new"), path_of("other/real.awk")), 0);
    expect("a new file in its place", "words ");
    put("other/real.awk", "4");
    expect("a change of the new file", "words ");
}

Test(watch, a_directory_of_tasks_may_be_replaced_and_may_be_missing_for_a_while)
{
    make("next");
    make("next/words");
    cr_assert_eq(rename(path_of("tasks"), path_of("before")), 0);
    cr_assert_eq(rename(path_of("next"), path_of("tasks")), 0);
    expect("another directory", "* ");
    put("tasks/words/a", "1");
    expect("a change in it", "words ");
    cr_assert_eq(rename(path_of("tasks"), path_of("gone")), 0);
    expect("no directory", "* ");
    make("tasks");
    uv_run(&loop, UV_RUN_NOWAIT);
    cr_assert_eq(rmdir(path_of("tasks")), 0);
    expect("a directory that has gone again", "* ");
    make("tasks");
    expect("a new directory", "* ");
    make("tasks/more");
    expect("a change in the new directory", "more ");
}

Test(watch, a_task_that_changes_its_own_code_is_not_reported_for_ever)
{
    rewrites = "tasks/words/generated.sh";
    put(rewrites, "first");
    for (unsigned i = 0; i < WATCH_REPORTS_MAX; i++) expect("a change by the task", "words ");
    expect_nothing();
    rewrites = NULL;
    expect_nothing();
}

Test(watch, only_so_many_names_are_remembered_and_their_changes_still_count)
{
    char name[40];
    put("tasks/words/task.json", "{}");
    expect("a change before the flood", "words ");
    buf_clear(&seen);
    for (int i = 0; i < WATCH_NAMES_MAX + 100; i++) {
        snprintf(name, sizeof name, "tasks/%d", i);
        put(name, "");
        uv_run(&loop, UV_RUN_NOWAIT); /* reads the events before the kernel's queue is full */
    }
    while (seen_names() < WATCH_NAMES_MAX - 1) uv_run(&loop, UV_RUN_ONCE);
    cr_assert_eq(seen_names(), WATCH_NAMES_MAX - 1);
    make("tasks/late");
    put("tasks/words/task.json", "{ }");
    expect("a change of a name that is remembered", "words ");
}

/* The program has no right to search its working directory if, for example, root has started it as another user in a
 * folder that only root may search. */
Test(watch, a_path_below_a_folder_that_may_not_be_searched_is_passed_over)
{
    static const struct watch_hooks hooks = {.changed = on_changed, .writes_itself = on_writes_itself};
    uid_t user = geteuid();
    make("closed");
    cr_assert_eq(chdir(path_of("closed")), 0);
    cr_assert_eq(chmod(".", 0), 0);
    if (user == 0) cr_assert_eq(seteuid(65534), 0);
    struct stat st;
    cr_assert_lt(stat(".", &st), 0);
    struct watch *closed = watch_start(&loop, "tasks", &hooks, NULL);
    watch_stop(closed);
    cr_assert_eq(seteuid(user), 0);
    cr_assert_eq(chdir("/"), 0);
    cr_assert_eq(chmod(path_of("closed"), 0700), 0);
}
