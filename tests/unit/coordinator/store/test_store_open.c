/* Opens stores in each state in which a process may leave a store, and opens files that the store must refuse. */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "unit/coordinator/store/store_harness.h"

static void write_file(const char *path, const char *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, bytes, len), (ssize_t)len);
    close(fd);
}

static void execute(const char *path, const char *sql)
{
    sqlite3 *db;
    cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
    sqlite3_close(db);
}

static struct buf content_of(const char *path)
{
    struct buf content = {0};
    char piece[4096];
    int fd = open(path, O_RDONLY);
    cr_assert_geq(fd, 0);
    for (ssize_t n; (n = read(fd, piece, sizeof piece)) > 0;) buf_add(&content, piece, (size_t)n);
    close(fd);
    return content;
}

/* Like shop_refused(). The refused file must also stay unchanged. */
static void assert_refused_unchanged(struct shop *s, const char *part)
{
    struct buf before = content_of(s->path);
    shop_refused(s, part);
    struct buf after = content_of(s->path);
    cr_assert(before.data && after.data && before.len == after.len);
    cr_assert(memcmp(before.data, after.data, before.len) == 0);
    buf_release(&before);
    buf_release(&after);
}

static off_t size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_size : -1;
}

Test(store_open, jobs_are_there_again_and_those_that_ran_wait)
{
    struct shop s;
    shop_init(&s);
    shop_open(&s);
    struct stat st;
    cr_assert_eq(stat(s.path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    shop_partial(&s, shop_id(1));
    shop_submit(&s, shop_id(2), 0);
    cr_assert_eq(shop_claim(&s, NULL), 1);
    shop_submit(&s, shop_id(3), 0);
    shop_ok(&s, shop_new_job(&s, shop_id(4), "key"));
    shop_ok(&s, shop_block(&s, shop_id(4), 0, BLOCK_ITEMS, 0, 1, "1\n"));
    shop_reopen(&s);
    cr_assert_eq(shop_state(&s, shop_id(1)), STORED_PARTIAL);
    cr_assert_eq(shop_state(&s, shop_id(2)), STORED_PENDING);
    cr_assert_eq(shop_state(&s, shop_id(3)), STORED_PENDING);
    cr_assert_eq(shop_do(&s, STORE_READ_JOB, shop_id(4), 0), STORE_NOT_FOUND, "the job was not accepted");
    shop_ok(&s, shop_new_job(&s, shop_id(5), "key"));
    char id[STORE_ID_SIZE];
    cr_assert_eq(shop_claim(&s, id), 2, "the fence grows");
    cr_assert_str_eq(id, shop_id(2));
    struct store_call *c = shop_ranges(&s, shop_id(1), 0);
    cr_assert_eq(c->block_count, 3);
    store_call_free(c);
    shop_release(&s);
    assert_no_leaks();
}

Test(store_open, closing_copies_the_log_into_the_file)
{
    char log[200];
    struct shop s;
    shop_init(&s);
    snprintf(log, sizeof log, "%s-wal", s.path);
    for (unsigned i = 0; i < 20; i++) {
        shop_open(&s);
        shop_ok(&s, shop_new_job(&s, shop_id(i), NULL));
        cr_assert_gt(size_of(log), 0);
        shop_close(&s);
        cr_assert_eq(size_of(log), -1, "closing the last connection removes the log");
    }
    shop_release(&s);
    assert_no_leaks();
}

Test(store_open, a_path_is_never_a_uri_or_memory)
{
    static const char *const names[] = {":memory:", "file:jobs.db?mode=memory"};
    struct shop s;
    shop_init(&s);
    cr_assert_eq(chdir(s.folder), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        snprintf(s.path, sizeof s.path, "%s", names[i]);
        shop_open(&s);
        shop_submit(&s, shop_id(1), 0);
        shop_reopen(&s);
        cr_assert_eq(shop_state(&s, shop_id(1)), STORED_PENDING);
        cr_assert_gt(size_of(names[i]), 0);
        shop_close(&s);
    }
    cr_assert_eq(chdir("/"), 0);
    shop_release(&s);
    assert_no_leaks();
}

Test(store_open, an_empty_file_becomes_a_store)
{
    struct shop s;
    shop_init(&s);
    write_file(s.path, "", 0);
    shop_open(&s);
    shop_submit(&s, shop_id(1), 0);
    shop_release(&s);
    assert_no_leaks();
}

Test(store_open, what_is_not_a_store_is_refused_and_not_changed)
{
    struct shop s;
    shop_init(&s);
    static char text[] =
        "This is my diary. It is longer than the header of a file of SQLite, which has one hundred bytes.\n";
    write_file(s.path, text, sizeof text);
    assert_refused_unchanged(&s, "is not a job store of fantail");
    write_file(s.path, text, 5);
    assert_refused_unchanged(&s, "is not a job store of fantail");
    unlink(s.path);
    execute(s.path, "PRAGMA journal_mode = WAL; CREATE TABLE mine (a)");
    assert_refused_unchanged(&s, "is not a job store of fantail");
    unlink(s.path);
    cr_assert_eq(mkdir(s.path, 0700), 0);
    shop_refused(&s, "jobs.db");
    cr_assert_eq(rmdir(s.path), 0);
    cr_assert_eq(mkfifo(s.path, 0600), 0);
    shop_refused(&s, "is not a regular file");
    shop_release(&s);
    assert_no_leaks();
}

Test(store_open, a_missing_folder_is_named)
{
    struct shop s;
    shop_init(&s);
    snprintf(s.path, sizeof s.path, "%s/no/jobs.db", s.folder);
    shop_refused(&s, "does not exist");
    shop_release(&s);
    assert_no_leaks();
}

Test(store_open, a_log_without_its_store_is_not_given_to_a_new_one)
{
    struct shop s;
    char log[200];
    shop_init(&s);
    snprintf(log, sizeof log, "%s-wal", s.path);
    write_file(log, "left", 4);
    shop_refused(&s, "is missing: restore both files, or remove the first one");
    cr_assert_eq(size_of(s.path), -1);
    shop_release(&s);
    assert_no_leaks();
}

Test(store_open, a_newer_schema_is_refused)
{
    struct shop s;
    shop_init(&s);
    shop_open(&s);
    shop_close(&s);
    execute(s.path, "PRAGMA user_version = 99");
    shop_refused(&s, "has schema 99");
    shop_release(&s);
    assert_no_leaks();
}

Test(store_open, a_damaged_file_is_refused_and_not_changed)
{
    struct shop s;
    char zeros[4096] = {0};
    shop_init(&s);
    shop_open(&s);
    for (unsigned i = 0; i < 20; i++) shop_submit(&s, shop_id(i), 0);
    shop_close(&s);
    /* The first page has the schema, the second page belongs to auto_vacuum, and the pages of the tables follow. */
    int fd = open(s.path, O_RDWR);
    cr_assert_eq(pwrite(fd, zeros, sizeof zeros, (off_t)2 * 4096), sizeof zeros);
    assert_refused_unchanged(&s, "is damaged");
    cr_assert_eq(pwrite(fd, zeros, 200, 0), 200);
    assert_refused_unchanged(&s, "or it is damaged; it was not changed");
    cr_assert_eq(ftruncate(fd, 50), 0);
    assert_refused_unchanged(&s, "or it is damaged; it was not changed");
    close(fd);
    shop_release(&s);
    assert_no_leaks();
}

/* Root may write to any file, so root becomes another user for the duration of the test. */
Test(store_open, a_file_that_may_not_be_written_is_refused)
{
    enum { NOBODY = 65534 };
    char err[300] = "";
    struct shop s;
    shop_init(&s);
    shop_open(&s);
    shop_close(&s);
    cr_assert_eq(chmod(s.path, 0444), 0);
    bool is_root = geteuid() == 0;
    if (is_root) cr_assert_eq(chown(s.folder, NOBODY, NOBODY), 0);
    if (is_root) cr_assert_eq(chown(s.path, NOBODY, NOBODY), 0);
    if (is_root) cr_assert_eq(seteuid(NOBODY), 0);
    assert_refused_unchanged(&s, "cannot open the job store");
    cr_assert_not(store_sqlite_check(s.path, err, sizeof err));
    cr_assert(strstr(err, strerror(EACCES)), "%s", err);
    if (is_root) cr_assert_eq(seteuid(0), 0);
    shop_release(&s);
    assert_no_leaks();
}

Test(store_open, a_damaged_block_is_told_and_the_rest_can_be_read)
{
    struct shop s;
    shop_init(&s);
    shop_open(&s);
    shop_partial(&s, shop_id(1));
    shop_close(&s);
    execute(s.path,
            "UPDATE block SET lines = zeroblob(40) WHERE number = 2; UPDATE block SET ranges = x'01' WHERE number = 3");
    shop_open(&s);
    struct store_call *c = shop_call(&s, STORE_READ_BLOCK, shop_id(1));
    c->block.number = 2;
    cr_assert_eq(shop_run(&s, c), STORE_BROKEN);
    cr_assert(strstr(c->error, "block 2 of job"), "%s", c->error);
    c->block.number = 1;
    cr_assert_eq(shop_run(&s, c), STORE_OK);
    store_call_free(c);
    c = shop_call(&s, STORE_READ_RANGES, shop_id(1));
    cr_assert_eq(shop_run(&s, c), STORE_BROKEN);
    cr_assert(strstr(c->error, "block 3 of job"), "%s", c->error);
    store_call_free(c);
    shop_release(&s);
    assert_no_leaks();
}

/* Without a check, SQLite would continue to use the moved file. After a restart, all writes to the moved file that were
 * reported as done would be lost. A reader would wait for ever for answers that cannot be written. */
Test(store_open, a_file_that_was_moved_away_is_neither_written_nor_read)
{
    static const enum store_op reads[] = {STORE_READ_JOB, STORE_LIST_JOBS, STORE_READ_RANGES, STORE_READ_BLOCK};
    char away[200];
    struct shop s;
    shop_init(&s);
    snprintf(away, sizeof away, "%s.away", s.path);
    shop_open(&s);
    shop_submit(&s, shop_id(1), 0);
    cr_assert_eq(rename(s.path, away), 0);
    struct store_call *c = shop_new_job(&s, shop_id(2), NULL);
    cr_assert_eq(shop_run(&s, c), STORE_UNFIT);
    cr_assert(strstr(c->error, "removed or replaced"), "%s", c->error);
    store_call_free(c);
    for (size_t i = 0; i < ARRAY_SIZE(reads); i++) {
        c = shop_call(&s, reads[i], shop_id(1));
        c->filter.limit = 1;
        cr_assert_eq(shop_run(&s, c), STORE_UNFIT, "%zu", i);
        cr_assert(strstr(c->error, "removed or replaced"), "%s", c->error);
        store_call_free(c);
    }
    cr_assert_eq(rename(away, s.path), 0);
    cr_assert_eq(shop_state(&s, shop_id(1)), STORED_PENDING);
    shop_submit(&s, shop_id(3), 0);
    shop_reopen(&s);
    cr_assert_eq(shop_state(&s, shop_id(3)), STORED_PENDING);
    cr_assert_eq(unlink(s.path), 0);
    c = shop_new_job(&s, shop_id(4), NULL);
    cr_assert_eq(shop_run(&s, c), STORE_UNFIT);
    store_call_free(c);
    shop_release(&s);
    assert_no_leaks();
}

static void start_another(struct store_call *c)
{
    static unsigned steps;
    struct shop *s = c->data;
    if (++steps < 3)
        store_start(s->store, c);
    else
        store_call_free(c);
}

/* Code that needs several calls starts the next call in the callback of the previous one. */
Test(store_open, a_call_that_is_started_while_the_store_closes_is_answered)
{
    struct shop s;
    shop_init(&s);
    shop_open(&s);
    struct store_call *c = store_call_new(STORE_REMOVE, start_another, &s),
                      *read = shop_call(&s, STORE_READ_JOB, shop_id(1));
    snprintf(c->job.id, sizeof c->job.id, "%s", shop_id(1));
    store_start(s.store, c);
    store_close(s.store, shop_closed, &s.store);
    store_start(s.store, read);
    while (s.store) uv_run(&s.loop, UV_RUN_ONCE);
    cr_assert_eq(s.done, 1);
    cr_assert_eq(read->status, STORE_AWAY);
    store_call_free(read);
    shop_release(&s);
    assert_no_leaks();
}

/* Returns whether another process can take the lock that SQLite's readers need. */
static bool is_readable_elsewhere(const char *path)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct flock readers = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 0x40000002, .l_len = 510};
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        _exit(fd >= 0 && fcntl(fd, F_SETLK, &readers) == 0 ? 0 : 1);
    }
    int status = 0;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return status == 0;
}

/* If a file is truncated, a process that reads its mapping is killed by SIGBUS. */
Test(store_open, no_other_file_can_end_the_process_and_no_other_process_reads_the_store)
{
    char name[200];
    struct shop s;
    shop_init(&s);
    shop_open(&s);
    shop_submit(&s, shop_id(1), 0);
    snprintf(name, sizeof name, "%s-shm", s.path);
    cr_assert_eq(size_of(name), -1);
    cr_assert(!is_readable_elsewhere(s.path));
    snprintf(name, sizeof name, "%s-wal", s.path);
    cr_assert_gt(size_of(name), 0);
    cr_assert_eq(truncate(name, 0), 0);
    for (unsigned i = 2; i < 5; i++) {
        struct store_call *c = shop_new_job(&s, shop_id(i), NULL);
        enum store_status status = shop_run(&s, c);
        cr_assert(status == STORE_OK || status == STORE_AWAY || status == STORE_BROKEN);
        store_call_free(c);
        shop_do(&s, STORE_READ_JOB, shop_id(i), 0);
    }
    shop_release(&s);
    assert_no_leaks();
}
