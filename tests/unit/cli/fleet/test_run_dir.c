/* Temporary directories of one run, and those of runs that were killed. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/fleet/run_dir.h"

static char base[32];

static void setup(void)
{
    snprintf(base, sizeof base, "/tmp/fantail-test-XXXXXX");
    cr_assert(mkdtemp(base));
    setenv("TMPDIR", base, 1);
}

static void teardown(void)
{
    cr_assert_eq(rmdir(base), 0, "%s is not empty", base);
}

static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static void make(struct run_dir *d, enum run_dir_kind kind)
{
    char err[256];
    cr_assert(run_dir_make(d, kind, sizeof d->path, err, sizeof err), "%s", err);
}

/* Makes it look an hour old. */
static void age(const char *path)
{
    struct timespec times[2] = {{.tv_sec = time(NULL) - 3600}, {.tv_sec = time(NULL) - 3600}};
    cr_assert_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

Test(run_dir, is_for_this_user_only_and_removed_with_what_is_in_it, .init = setup, .fini = teardown)
{
    struct run_dir d;
    struct stat st;
    char file[sizeof d.path + 8];
    make(&d, RUN_DIR_MAP);
    cr_assert_eq(stat(d.path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0700);
    snprintf(file, sizeof file, "%s/file", d.path);
    int fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    cr_assert(fd >= 0);
    close(fd);
    run_dir_remove(&d);
    cr_assert_not(exists(file));
    run_dir_remove(&d);
}

Test(run_dir, that_of_a_killed_run_is_removed_and_that_of_a_living_one_stays, .init = setup, .fini = teardown)
{
    struct run_dir ours, living, killed;
    make(&ours, RUN_DIR_MAP);
    make(&living, RUN_DIR_FLEET);
    make(&killed, RUN_DIR_FLEET);
    close(killed.lock_fd);
    age(living.path);
    age(killed.path);
    run_dir_remove(&ours);
    cr_assert(exists(living.path));
    cr_assert_not(exists(killed.path));
    run_dir_remove(&living);
}

Test(run_dir, is_below_tmp_when_tmpdir_is_too_long, .init = setup, .fini = teardown)
{
    struct run_dir d;
    char err[256];
    cr_assert(run_dir_make(&d, RUN_DIR_FLEET, strlen("/tmp/fantail-fleet-XXXXXX"), err, sizeof err), "%s", err);
    cr_assert(strncmp(d.path, "/tmp/fantail-fleet-", 19) == 0, "%s", d.path);
    run_dir_remove(&d);
}
