/* Calls that share a transaction, the cost of calls, and the size of the file and its limit. */
#include <sqlite3.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "common/base/limits.h"
#include "unit/coordinator/store/power_vfs.h"
#include "unit/coordinator/store/store_harness.h"

/* Opens another connection, which holds the writer's lock, so that calls accumulate in the queue. */
static sqlite3 *hold(struct shop *s)
{
    sqlite3 *other;
    cr_assert_eq(sqlite3_open(s->path, &other), SQLITE_OK);
    sqlite3_busy_timeout(other, 60000); /* the writer may be removing blocks at this moment */
    cr_assert_eq(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    return other;
}

static void let_go(sqlite3 *other)
{
    cr_assert_eq(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
}

/* Starts the calls while the test holds the lock, and waits until all calls are done. */
static void run_together(struct shop *s, struct store_call **calls, unsigned n)
{
    sqlite3 *other = hold(s);
    unsigned wanted = s->done + n;
    for (unsigned i = 0; i < n; i++) store_start(s->store, calls[i]);
    let_go(other);
    while (s->done < wanted) uv_run(&s->loop, UV_RUN_ONCE);
}

Test(store_batch, a_thousand_calls_take_few_commits)
{
    enum { N = 1000 };
    struct shop s;
    struct store_call *calls[N];
    shop_init(&s);
    power_vfs_install();
    shop_open(&s);
    shop_submit(&s, shop_id(N), 0);
    for (unsigned i = 0; i < N; i++) calls[i] = shop_new_job(&s, shop_id(i), NULL);
    unsigned before = power_vfs_counts().syncs;
    run_together(&s, calls, N);
    cr_assert_leq(power_vfs_counts().syncs - before, 5);
    for (unsigned i = 0; i < N; i++) cr_assert_eq(calls[i]->status, STORE_OK);
    for (unsigned i = 0; i < N; i++) store_call_free(calls[i]);
    shop_release(&s);
    power_vfs_remove();
    assert_no_leaks();
}

/* The pauses give the writer time to commit the first call alone. The writer must not use this time for a commit. */
Test(store_batch, calls_that_are_started_together_take_one_commit)
{
    enum { ROUNDS = 20 };
    struct shop s;
    unsigned differ = 0;
    shop_init(&s);
    power_vfs_install();
    shop_open(&s);
    shop_submit(&s, shop_id(100), 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct store_call *calls[] = {shop_new_job(&s, shop_id(i), NULL),
                                      shop_block(&s, shop_id(i), 0, BLOCK_ITEMS, 0, 1, "1\n"),
                                      shop_call(&s, STORE_READ_JOB, shop_id(100))};
        unsigned before = power_vfs_counts().syncs, wanted = s.done + ARRAY_SIZE(calls);
        store_hold(s.store);
        for (size_t k = 0; k < ARRAY_SIZE(calls); k++) {
            store_start(s.store, calls[k]);
            usleep(500);
        }
        store_let_go(s.store);
        while (s.done < wanted) uv_run(&s.loop, UV_RUN_ONCE);
        differ += power_vfs_counts().syncs - before != 1;
        for (size_t k = 0; k < ARRAY_SIZE(calls); k++) {
            cr_assert_eq(calls[k]->status, STORE_OK, "%s", calls[k]->error);
            store_call_free(calls[k]);
        }
    }
    cr_assert_leq(differ, SHOP_COMMITS_THAT_DIFFER);
    shop_release(&s);
    power_vfs_remove();
    assert_no_leaks();
}

Test(store_batch, a_transaction_has_a_limit_of_bytes)
{
    enum { N = 40 };
    struct shop s;
    struct store_call *calls[N];
    shop_init(&s);
    power_vfs_install();
    shop_open(&s);
    shop_ok(&s, shop_new_job(&s, shop_id(1), NULL));
    for (unsigned i = 0; i < N; i++) {
        calls[i] = shop_block(&s, shop_id(1), 0, BLOCK_ITEMS, i, 1, "");
        cr_assert(buf_reserve(&calls[i]->block.lines, MIB));
        memset(calls[i]->block.lines.data, 'x', MIB);
        calls[i]->block.lines.len = MIB;
    }
    unsigned before = power_vfs_counts().syncs;
    run_together(&s, calls, N);
    cr_assert_geq(power_vfs_counts().syncs - before, 3);
    for (unsigned i = 0; i < N; i++) cr_assert_eq(calls[i]->status, STORE_OK);
    for (unsigned i = 0; i < N; i++) store_call_free(calls[i]);
    shop_release(&s);
    power_vfs_remove();
    assert_no_leaks();
}

Test(store_batch, if_one_call_fails_the_others_take_effect)
{
    enum { N = 20, BAD = 13 };
    struct shop s;
    sqlite3 *other;
    struct store_call *calls[N];
    shop_init(&s);
    shop_open(&s);
    /* The trigger makes a statement fail and rolls back the whole transaction, as a full disk does. */
    cr_assert_eq(sqlite3_open(s.path, &other), SQLITE_OK);
    sqlite3_busy_timeout(other, 60000);
    cr_assert_eq(sqlite3_exec(other,
                              "CREATE TRIGGER bad BEFORE INSERT ON job WHEN new.task = 'bad'"
                              " BEGIN SELECT RAISE(ROLLBACK, 'bad task'); END",
                              NULL, NULL, NULL),
                 SQLITE_OK);
    sqlite3_close(other);
    for (unsigned i = 0; i < N; i++) calls[i] = shop_new_job(&s, shop_id(i), NULL);
    calls[BAD]->job.task = xstrdup("bad");
    run_together(&s, calls, N);
    for (unsigned i = 0; i < N; i++) {
        cr_assert_eq(calls[i]->status, i == BAD ? STORE_BROKEN : STORE_OK, "%u: %s", i, calls[i]->error);
        cr_assert_eq(shop_do(&s, STORE_READ_JOB, shop_id(i), 0), i == BAD ? STORE_NOT_FOUND : STORE_OK);
    }
    cr_assert(strstr(calls[BAD]->error, "bad task"), "%s", calls[BAD]->error);
    for (unsigned i = 0; i < N; i++) store_call_free(calls[i]);
    shop_release(&s);
    assert_no_leaks();
}

Test(store_batch, if_the_lock_cannot_be_had_all_calls_fail_after_one_wait, .timeout = 300)
{
    enum { N = 20 };
    struct shop s;
    struct store_call *calls[N];
    shop_init(&s);
    shop_open(&s);
    for (unsigned i = 0; i < N; i++) calls[i] = shop_new_job(&s, shop_id(i), NULL);
    sqlite3 *other = hold(&s);
    for (unsigned i = 0; i < N; i++) store_start(s.store, calls[i]);
    while (s.done < N) uv_run(&s.loop, UV_RUN_ONCE);
    cr_assert_eq(shop_do(&s, STORE_READ_JOB, shop_id(1), 0), STORE_NOT_FOUND, "the store can be read meanwhile");
    for (unsigned i = 0; i < N; i++) cr_assert_eq(calls[i]->status, STORE_AWAY, "%s", calls[i]->error);
    let_go(other);
    for (unsigned i = 0; i < N; i++) cr_assert_eq(shop_run(&s, calls[i]), STORE_OK, "the store can be written again");
    for (unsigned i = 0; i < N; i++) store_call_free(calls[i]);
    shop_release(&s);
    assert_no_leaks();
}

/* The pages of the transaction follow each other in the log, so few writes are needed. */
Test(store_batch, a_transaction_writes_its_pages_together)
{
    struct shop s;
    unsigned differ = 0;
    shop_init(&s);
    power_vfs_install();
    shop_open(&s);
    shop_submit(&s, shop_id(1), 0);
    for (unsigned i = 2; i < 10; i++) {
        struct power_vfs_counts before = power_vfs_counts();
        shop_ok(&s, shop_new_job(&s, shop_id(i), NULL));
        struct power_vfs_counts after = power_vfs_counts();
        differ += after.writes - before.writes != 1 || after.syncs - before.syncs != 1;
    }
    cr_assert_leq(differ, SHOP_COMMITS_THAT_DIFFER);
    shop_release(&s);
    power_vfs_remove();
    assert_no_leaks();
}

/* ---- Statements ----------------------------------------------------------------------------------------------- */

static _Atomic unsigned statements;

static int on_statement(unsigned kind, void *data, void *statement, void *text)
{
    /* In the trace, statements of triggers begin with "--". */
    if (strncmp(text, "--", 2) != 0) statements++;
    return 0;
}

static int trace(sqlite3 *db, char **err, const struct sqlite3_api_routines *api)
{
    return sqlite3_trace_v2(db, SQLITE_TRACE_STMT, on_statement, NULL);
}

Test(store_batch, a_block_costs_four_statements)
{
    enum { BLOCKS = 20 };
    struct shop s;
    shop_init(&s);
    sqlite3_auto_extension((void (*)(void))trace);
    shop_open(&s);
    shop_submit(&s, shop_id(1), 0);
    uint64_t fence = shop_claim(&s, NULL);
    unsigned before = statements;
    for (unsigned i = 0; i < BLOCKS; i++)
        shop_ok(&s, shop_block(&s, shop_id(1), fence, BLOCK_VALUES, i, 1, "{\"value\":1}\n"));
    cr_assert_leq(statements - before, 4 * BLOCKS + 8, "the 8 are for the writer, which may look for removed blocks");
    cr_assert_geq(statements - before, 2 * BLOCKS, "statements are counted");
    shop_release(&s);
    sqlite3_reset_auto_extension();
    assert_no_leaks();
}

/* ---- Size ----------------------------------------------------------------------------------------------------- */

static off_t size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_size : -1;
}

/* Returns a call that adds a block of 1 MiB. The block cannot be compressed. */
static struct store_call *large_block(struct shop *s, const char *id, uint64_t fence, enum block_kind kind,
                                      unsigned first)
{
    struct store_call *c = shop_block(s, id, fence, kind, first, 1, "");
    cr_assert(buf_reserve(&c->block.lines, MIB));
    for (size_t at = 0; at < MIB; at += 256) cr_assert_eq(getrandom(c->block.lines.data + at, 256, 0), 256);
    c->block.lines.len = MIB;
    return c;
}

static void submit_large(struct shop *s, const char *id, unsigned blocks)
{
    shop_ok(s, shop_new_job(s, id, NULL));
    for (unsigned i = 0; i < blocks; i++) shop_ok(s, large_block(s, id, 0, BLOCK_ITEMS, i));
    struct store_call *c = shop_acceptance(s, id, "square", 0, blocks);
    c->job.item_blocks = blocks;
    shop_ok(s, c);
}

static void wait_until_shorter(struct shop *s, off_t limit)
{
    while (size_of(s->path) >= limit) {
        uv_run(&s->loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
}

Test(store_batch, the_file_shrinks_when_jobs_are_removed, .timeout = 300)
{
    struct shop s;
    shop_init(&s);
    shop_open(&s);
    submit_large(&s, shop_id(1), 12);
    shop_submit(&s, shop_id(2), 0);
    shop_reopen(&s);
    cr_assert_gt(size_of(s.path), 12 * MIB);
    cr_assert_eq(shop_do(&s, STORE_WANT_CANCEL, shop_id(1), 0), STORE_OK);
    cr_assert_eq(shop_do(&s, STORE_REMOVE, shop_id(1), 0), STORE_OK);
    wait_until_shorter(&s, 2 * MIB);
    cr_assert_eq(shop_state(&s, shop_id(2)), STORED_PENDING);
    struct store_call *c = shop_ranges(&s, shop_id(2), 0);
    cr_assert_eq(c->block_count, 1);
    store_call_free(c);
    shop_release(&s);
    assert_no_leaks();
}

Test(store_batch, removing_goes_on_after_the_store_was_opened_again, .timeout = 300)
{
    struct shop s;
    shop_init(&s);
    shop_open(&s);
    submit_large(&s, shop_id(1), 12);
    shop_ok(&s, shop_new_job(&s, shop_id(2), NULL));
    shop_ok(&s, large_block(&s, shop_id(2), 0, BLOCK_ITEMS, 0));
    cr_assert_eq(shop_do(&s, STORE_WANT_CANCEL, shop_id(1), 0), STORE_OK);
    cr_assert_eq(shop_do(&s, STORE_REMOVE, shop_id(1), 0), STORE_OK);
    shop_reopen(&s);
    wait_until_shorter(&s, 2 * MIB);
    shop_release(&s);
    assert_no_leaks();
}

Test(store_batch, dropped_errors_and_marks_are_removed_and_values_are_not, .timeout = 300)
{
    struct shop s;
    shop_init(&s);
    shop_open(&s);
    const char *id = shop_id(1);
    shop_submit(&s, id, 0);
    uint64_t fence = shop_claim(&s, NULL);
    for (unsigned i = 0; i < 10; i++) shop_ok(&s, large_block(&s, id, fence, BLOCK_ERRORS, i));
    shop_ok(&s, shop_block(&s, id, fence, BLOCK_VALUES, 0, 1, "{\"value\":1}\n"));
    shop_ok(&s, shop_block(&s, id, fence, BLOCK_SENT, 1, 2, ""));
    shop_ok(&s, shop_block(&s, id, fence, BLOCK_UNSENT, 2, 1, ""));
    shop_ok(&s, shop_ending(&s, id, fence, STORED_PARTIAL, (struct stored_counts){.succeeded = 1, .failed = 1}));
    shop_reopen(&s);
    cr_assert_gt(size_of(s.path), 10 * MIB);
    cr_assert_eq(shop_do(&s, STORE_REDRIVE, id, 0), STORE_OK);
    cr_assert_eq(shop_claim(&s, NULL), fence + 1);
    shop_ok(&s, shop_block(&s, id, fence + 1, BLOCK_ERRORS, 1, 1, "{\"error\":{}}\n"));
    wait_until_shorter(&s, 2 * MIB);
    struct store_call *c = shop_ranges(&s, id, 0);
    cr_assert_eq(c->block_count, 3);
    cr_assert_eq(c->blocks[0].kind, BLOCK_ITEMS);
    cr_assert_eq(c->blocks[1].kind, BLOCK_VALUES);
    cr_assert_eq(c->blocks[2].kind, BLOCK_ERRORS);
    store_call_free(c);
    shop_release(&s);
    assert_no_leaks();
}

Test(store_batch, a_full_store_refuses_blocks_but_ends_and_removes_jobs, .timeout = 300)
{
    struct shop s;
    shop_init(&s);
    shop_open_limited(&s, 6 * MIB);
    shop_submit(&s, shop_id(1), 0);
    uint64_t fence = shop_claim(&s, NULL);
    struct store_call *c;
    unsigned blocks = 0;
    for (;; blocks++) {
        c = large_block(&s, shop_id(1), fence, BLOCK_VALUES, blocks);
        if (shop_run(&s, c) != STORE_OK) break;
        store_call_free(c);
        cr_assert_lt(blocks, 7);
    }
    cr_assert_eq(c->status, STORE_FULL);
    cr_assert(strstr(c->error, "--store-max-bytes"), "%s", c->error);
    store_call_free(c);
    cr_assert_geq(blocks, 4);
    c = shop_block(&s, shop_id(1), fence, BLOCK_VALUES, 99, 1, "{\"value\":1}\n");
    c->job.counts.succeeded = 1;
    shop_ok(&s, c);
    shop_ok(&s, shop_ending(&s, shop_id(1), fence, STORED_FAILED, (struct stored_counts){.succeeded = 1}));
    cr_assert_eq(shop_do(&s, STORE_REMOVE, shop_id(1), 0), STORE_OK);
    shop_ok(&s, shop_new_job(&s, shop_id(2), NULL));
    for (enum store_status status = STORE_FULL; status != STORE_OK;) {
        c = large_block(&s, shop_id(2), 0, BLOCK_ITEMS, 0);
        status = shop_run(&s, c);
        store_call_free(c);
    }
    shop_release(&s);
    assert_no_leaks();
}
