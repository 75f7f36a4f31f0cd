#include "common/files/locked_dir.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char base[40];

static void setup(void)
{
    snprintf(base, sizeof base, "/tmp/fantail-test-lock-XXXXXX");
    cr_assert(mkdtemp(base));
}

static void teardown(void)
{
    cr_assert_eq(rmdir(base), 0, "%s is not empty", base);
}

TestSuite(locked_dir, .init = setup, .fini = teardown);

static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

/* Makes a directory in `parent`, without locking it. Returns its path. */
static char *put_dir(const char *parent, const char *name)
{
    char *path;
    cr_assert(asprintf(&path, "%s/%s", parent, name) > 0);
    cr_assert_eq(mkdir(path, 0700), 0);
    return path;
}

Test(locked_dir, is_for_this_user_only_and_removed_with_what_is_in_it)
{
    struct locked_dir d;
    struct stat st;
    cr_assert(locked_dir_make(&d, base, "a-"));
    cr_assert(stat(d.path, &st) == 0 && (st.st_mode & 0777) == 0700);
    free(put_dir(d.path, "inner"));
    locked_dir_remove(&d);
    cr_assert(!d.path);
    locked_dir_remove(&d);
}

Test(locked_dir, a_base_that_cannot_be_used_is_told)
{
    struct locked_dir d;
    cr_assert(!locked_dir_make(&d, "/nowhere/at/all", "a-") && errno == ENOENT && !d.path);
    locked_dirs_sweep("/nowhere/at/all", "a-");
}

Test(locked_dir, one_of_a_killed_process_is_swept_at_once)
{
    struct locked_dir d;
    int pipe_fds[2];
    char byte;
    cr_assert(pipe(pipe_fds) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (!locked_dir_make(&d, base, "a-") || write(pipe_fds[1], "x", 1) != 1) _exit(1);
        pause();
    }
    cr_assert(read(pipe_fds[0], &byte, 1) == 1);
    locked_dirs_sweep(base, "a-");
    cr_assert_neq(rmdir(base), 0, "the directory of a living process is gone");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    locked_dirs_sweep(base, "a-");
}

Test(locked_dir, what_has_another_name_or_is_no_directory_or_has_a_living_one_inside_stays)
{
    struct locked_dir inner;
    char link[60];
    char *other = put_dir(base, "b-1"), *target = put_dir(base, "target"), *outer = put_dir(base, "a-outer");
    snprintf(link, sizeof link, "%s/a-link", base);
    cr_assert_eq(symlink("target", link), 0);
    cr_assert(locked_dir_make(&inner, outer, "w-"));
    locked_dirs_sweep(base, "a-");
    cr_assert(exists(other) && exists(link) && exists(target) && exists(outer) && exists(inner.path));
    close(inner.lock_fd);
    locked_dirs_sweep(base, "a-");
    cr_assert(!exists(outer));
    unlink(link);
    rmdir(other);
    rmdir(target);
    free(other);
    free(target);
    free(outer);
    free(inner.path);
}

Test(locked_dir, an_owner_whose_directory_is_swept_before_its_lock_makes_another)
{
    pid_t pid = fork();
    if (pid == 0)
        for (;;) locked_dirs_sweep(base, "a-");
    for (int i = 0; i < 2000; i++) {
        struct locked_dir d;
        cr_assert(locked_dir_make(&d, base, "a-"), "%s", strerror(errno));
        cr_assert(exists(d.path), "round %d", i);
        locked_dir_remove(&d);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    locked_dirs_sweep(base, "a-");
}
