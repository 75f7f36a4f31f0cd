/* Opens stores on a full disk, writes to them, and continues when the disk has room again. */
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "unit/coordinator/store/power_vfs.h"
#include "unit/coordinator/store/store_harness.h"

/* Limits the size of files, so that a longer write fails as on a full disk. */
static void limit_files(rlim_t bytes)
{
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){bytes, RLIM_INFINITY}), 0);
}

/* Checks that the disk is too full to add a job, and that the job can be added after make_room(). `read` is the status
 * that a read must have while the disk is full. */
static void expect_open_later(struct shop *s, enum store_status read, void (*make_room)(void))
{
    struct store_call *c = shop_new_job(s, shop_id(9), NULL);
    cr_assert_eq(shop_run(s, c), STORE_FULL);
    cr_assert(strstr(c->error, "disk is full"), "%s", c->error);
    cr_assert_eq(shop_do(s, STORE_READ_JOB, shop_id(1), 0), read);
    make_room();
    while (shop_run(s, c) == STORE_FULL) continue;
    cr_assert_eq(c->status, STORE_OK, "%s", c->error);
    store_call_free(c);
}

static void lift_limit(void)
{
    limit_files(RLIM_INFINITY);
}

Test(store_full_disk, a_new_store_on_a_full_disk_is_made_when_there_is_room, .timeout = 60)
{
    struct shop s;
    shop_init(&s);
    limit_files(4096);
    shop_open(&s);
    shop_close(&s); /* the store is closed while it waits for room */
    shop_open(&s);
    expect_open_later(&s, STORE_FULL, lift_limit);
    shop_submit(&s, shop_id(1), 0);
    shop_release(&s);
    assert_no_leaks();
}

Test(store_full_disk, a_store_that_may_not_grow_is_opened_when_it_may, .timeout = 60)
{
    static const rlim_t limits[] = {0, 100, 4096, 3 * 4096};
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        struct shop s;
        shop_init(&s);
        shop_open(&s);
        for (unsigned n = 1; n < 9; n++) shop_submit(&s, shop_id(n), 0);
        cr_assert_eq(shop_claim(&s, NULL), 1);
        shop_close(&s);
        limit_files(limits[i]);
        shop_open(&s);
        expect_open_later(&s, STORE_OK, lift_limit);
        cr_assert_eq(shop_state(&s, shop_id(1)), STORED_PENDING);
        shop_release(&s);
    }
    assert_no_leaks();
}

Test(store_full_disk, a_store_that_may_not_grow_any_more_is_full)
{
    struct shop s;
    shop_init(&s);
    shop_open(&s);
    shop_submit(&s, shop_id(1), 0);
    limit_files(4096);
    struct store_call *c = shop_new_job(&s, shop_id(2), NULL);
    cr_assert_eq(shop_run(&s, c), STORE_FULL, "%s", c->error);
    lift_limit();
    cr_assert_eq(shop_run(&s, c), STORE_OK, "%s", c->error);
    store_call_free(c);
    shop_release(&s);
    assert_no_leaks();
}

static char small_disk[64]; /* where the file system of limit_names() is mounted */

/* Limits how many files `small_disk` may have, including its folder. */
static void limit_names(unsigned n)
{
    char options[64];
    snprintf(options, sizeof options, "size=4m,nr_inodes=%u", n);
    cr_assert_eq(mount("none", small_disk, "tmpfs", MS_REMOUNT, options), 0);
}

/* Mounts a small file system on the folder of the store. Skips the test if this process may not mount. */
static void mount_small_disk(const struct shop *s)
{
    snprintf(small_disk, sizeof small_disk, "%s", s->folder);
    bool ok = unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
              mount("none", small_disk, "tmpfs", 0, "size=4m") == 0;
    if (!ok) cr_skip_test("this user may not mount a file system");
}

static void lift_names(void)
{
    limit_names(100);
}

/* SQLite cannot create its journal, but reports only that it cannot open a file. */
Test(store_full_disk, a_store_on_a_disk_without_room_for_one_more_file_is_opened_when_there_is_room, .timeout = 60)
{
    for (unsigned names = 2; names <= 4; names++) {
        struct shop s;
        shop_init(&s);
        mount_small_disk(&s);
        bool is_old = names == 4;
        if (is_old) {
            shop_open(&s);
            shop_submit(&s, shop_id(1), 0);
            shop_close(&s);
        }
        limit_names(names); /* the old store has a folder, a file, a lock and a reserve */
        shop_open(&s);
        expect_open_later(&s, STORE_FULL, lift_names);
        shop_submit(&s, shop_id(2), 0);
        shop_close(&s);
        cr_assert_eq(umount(small_disk), 0);
        shop_release(&s);
    }
    assert_no_leaks();
}

static void mend(void)
{
    cr_assert(power_vfs_mend());
}

Test(store_full_disk, a_store_whose_running_jobs_cannot_be_written_is_opened_when_there_is_room, .timeout = 60)
{
    struct shop s;
    shop_init(&s);
    power_vfs_install();
    shop_open(&s);
    shop_submit(&s, shop_id(1), 0);
    cr_assert_eq(shop_claim(&s, NULL), 1);
    shop_close(&s);
    power_vfs_fail(1, SQLITE_FULL, true);
    shop_open(&s);
    expect_open_later(&s, STORE_OK, mend);
    cr_assert_eq(shop_state(&s, shop_id(1)), STORED_PENDING);
    shop_release(&s);
    power_vfs_remove();
    assert_no_leaks();
}

Test(store_full_disk, a_file_with_the_name_of_the_reserve_that_is_not_a_reserve_is_not_changed)
{
    struct shop s;
    char name[160], content[32] = "";
    shop_init(&s);
    snprintf(name, sizeof name, "%s.reserve", s.path);
    FILE *f = fopen(name, "w");
    cr_assert(f && fputs("mine", f) >= 0 && fclose(f) == 0);
    shop_open(&s);
    shop_submit(&s, shop_id(1), 0);
    shop_close(&s);
    f = fopen(name, "r");
    cr_assert(f && fgets(content, sizeof content, f) && !fgets(name, sizeof name, f) && fclose(f) == 0);
    cr_assert_str_eq(content, "mine");
    shop_release(&s);
    assert_no_leaks();
}
