/* The path of the temporary directory of a run. test_locked_dir.c tests how the directory is locked and removed. */
#include "cli/fleet/run_dir.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char base[32], err[256];

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

TestSuite(run_dir, .init = setup, .fini = teardown);

Test(run_dir, killed_runs_of_both_kinds_are_swept_and_living_ones_and_others_stay)
{
    struct locked_dir ours, living, killed[2];
    char other[64];
    snprintf(other, sizeof other, "%s/other-map-123456", base);
    cr_assert(mkdir(other, 0700) == 0);
    cr_assert(run_dir_make(&ours, RUN_DIR_MAP, SIZE_MAX, err, sizeof err), "%s", err);
    cr_assert(run_dir_make(&living, RUN_DIR_FLEET, SIZE_MAX, err, sizeof err), "%s", err);
    for (int i = 0; i < 2; i++) {
        cr_assert(run_dir_make(&killed[i], i ? RUN_DIR_MAP : RUN_DIR_FLEET, SIZE_MAX, err, sizeof err), "%s", err);
        close(killed[i].lock_fd);
    }
    run_dirs_sweep(&ours);
    cr_assert(access(ours.path, F_OK) == 0 && access(living.path, F_OK) == 0);
    for (int i = 0; i < 2; i++) {
        cr_assert(access(killed[i].path, F_OK) != 0, "%s", killed[i].path);
        free(killed[i].path);
    }
    locked_dir_remove(&ours);
    locked_dir_remove(&living);
    cr_assert_eq(rmdir(other), 0);
}

Test(run_dir, is_below_tmp_when_tmpdir_is_too_long)
{
    struct locked_dir d;
    size_t least = strlen("/tmp/fantail-fleet-XXXXXX");
    cr_assert(run_dir_make(&d, RUN_DIR_FLEET, least, err, sizeof err), "%s", err);
    cr_assert(strncmp(d.path, "/tmp/fantail-fleet-", 19) == 0 && strlen(d.path) == least, "%s", d.path);
    locked_dir_remove(&d);
}
