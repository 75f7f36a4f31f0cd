/*
 * Power cuts and failing disks. The workload is a few jobs, each of which goes through the same steps. After every
 * fault, the store must have each step of a job that was reported as done. The store may also have the whole next step,
 * but nothing else.
 */
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "unit/coordinator/store/power_vfs.h"
#include "unit/coordinator/store/store_harness.h"

#define JOBS 4

enum step { ADD, ADD_ITEMS, ACCEPT, CLAIM, ADD_VALUES, END, STEPS };

/* How many steps of each job were reported as done. */
static _Atomic unsigned reported[JOBS];

static struct store_call *call_for(struct shop *s, unsigned job, enum step step)
{
    const char *id = shop_id(job);
    struct store_call *c = NULL;
    switch (step) {
    case ADD: return shop_new_job(s, id, NULL);
    case ADD_ITEMS: return shop_block(s, id, 0, BLOCK_ITEMS, 0, 2, "1\n2\n");
    case ACCEPT: return shop_acceptance(s, id, "square", 0, 2);
    case CLAIM:
        c = shop_call(s, STORE_CLAIM, NULL);
        c->lease_ms = 3600000;
        return c;
    case ADD_VALUES:
        c = shop_block(s, id, 1, BLOCK_VALUES, 0, 2, "{\"value\":1}\n{\"value\":4}\n");
        c->job.counts.succeeded = 2;
        return c;
    case END: return shop_ending(s, id, 1, STORED_SUCCEEDED, (struct stored_counts){.succeeded = 2});
    default: BUG("step %d", step);
    }
}

/* Call it when the store has been opened again. When a store is opened, it removes each job that was still being
 * received. Returns how many steps of the job are in the store. Checks that no step is in the store only in part. */
static unsigned steps_shown(struct shop *s, unsigned job)
{
    struct store_call *c = shop_read(s, shop_id(job));
    unsigned steps = 0;
    if (c->status == STORE_OK) {
        struct store_call *ranges = shop_ranges(s, shop_id(job), 0);
        bool has_values = ranges->block_count == 2;
        cr_assert_geq(ranges->block_count, 1);
        cr_assert_eq(ranges->blocks[0].kind, BLOCK_ITEMS);
        cr_assert_eq(c->found.counts.succeeded, has_values ? 2 : 0, "the counts are stored together with the block");
        cr_assert_str_eq(c->found.options, "{\"task\":\"square\"}");
        struct store_call *block = shop_call(s, STORE_READ_BLOCK, shop_id(job));
        block->block.number = ranges->blocks[0].number;
        cr_assert_eq(shop_run(s, block), STORE_OK, "%s", block->error);
        cr_assert_str_eq(buf_cstr(&block->block.lines), "1\n2\n");
        bool has_ended = c->found.state == STORED_SUCCEEDED;
        cr_assert(has_ended || c->found.state == STORED_PENDING);
        steps = has_ended ? STEPS : has_values ? ADD_VALUES + 1 : c->found.fence == 1 ? CLAIM + 1 : ACCEPT + 1;
        store_call_free(block);
        store_call_free(ranges);
    } else
        cr_assert_eq(c->status, STORE_NOT_FOUND, "%s", c->error);
    store_call_free(c);
    return steps;
}

static void assert_jobs(struct shop *s, const unsigned done[JOBS])
{
    for (unsigned j = 0; j < JOBS; j++) {
        unsigned shown = steps_shown(s, j), least = done[j] > ACCEPT ? done[j] : 0;
        cr_assert_geq(shown, least, "job %u: %u steps were reported, and %u are there", j, done[j], shown);
        cr_assert(shown == least || shown == done[j] + 1, "job %u: %u steps were reported, and %u are there", j,
                  done[j], shown);
    }
}

/* ---- Power cuts ----------------------------------------------------------------------------------------------- */

#define CUTS 2000

struct cuts {
    const char *folder;
    unsigned n;
    unsigned reported[CUTS][JOBS];
};

/* SQLite may make many writes between two syncs. After a power cut, each of these writes may be complete, missing, or
 * partly there. So each power cut is simulated in several ways. */
static void cut(unsigned number, void *data)
{
    enum { WAYS = 4 };
    struct cuts *cuts = data;
    char folder[200];
    for (unsigned way = 0; way < WAYS; way++) {
        if (cuts->n == CUTS) BUG("too many cuts");
        snprintf(folder, sizeof folder, "%s/%u", cuts->folder, cuts->n);
        if (mkdir(folder, 0700) != 0) BUG("cannot make %s", folder);
        power_vfs_cut(folder, WAYS * number + way);
        for (unsigned j = 0; j < JOBS; j++) cuts->reported[cuts->n][j] = atomic_load(&reported[j]);
        cuts->n++;
    }
}

/* Runs one step of the jobs from `first` to `last` at the same time. */
static void run_step(struct shop *s, unsigned first, unsigned last, enum step step)
{
    struct store_call *calls[JOBS];
    unsigned wanted = s->done + last - first + 1;
    for (unsigned j = first; j <= last; j++) store_start(s->store, calls[j] = call_for(s, j, step));
    while (s->done < wanted) uv_run(&s->loop, UV_RUN_ONCE);
    for (unsigned j = first; j <= last; j++) {
        cr_assert_eq(calls[j]->status, STORE_OK, "%s", calls[j]->error);
        store_call_free(calls[j]);
        atomic_fetch_add(&reported[j], 1);
    }
}

Test(store_crash, after_a_power_cut_everything_is_there_that_was_reported, .timeout = 300)
{
    struct shop s;
    struct cuts *cuts = xcalloc(1, sizeof *cuts);
    shop_init(&s);
    cuts->folder = s.folder;
    shop_open(&s);
    shop_close(&s);
    power_vfs_install();
    power_vfs_watch(cut, cuts);
    shop_open(&s);
    for (unsigned step = 0; step < STEPS; step++) run_step(&s, 0, 0, (enum step)step);
    shop_reopen(&s);
    for (unsigned step = 0; step < STEPS; step++) run_step(&s, 1, JOBS - 1, (enum step)step);
    shop_close(&s);
    power_vfs_watch(NULL, NULL);
    power_vfs_remove();

    cr_assert_gt(cuts->n, 100);
    char path[sizeof s.path];
    memcpy(path, s.path, sizeof path);
    for (unsigned i = 0; i < cuts->n; i++) {
        snprintf(s.path, sizeof s.path, "%s/%u/jobs.db", s.folder, i);
        shop_open(&s);
        assert_jobs(&s, cuts->reported[i]);
        shop_close(&s);
    }
    memcpy(s.path, path, sizeof path);
    shop_release(&s);
    free(cuts);
    assert_no_leaks();
}

/* ---- Failing disks -------------------------------------------------------------------------------------------- */

/* Runs all steps of all jobs. Tries each failed step again. Returns how many calls failed. */
static unsigned run_stubbornly(struct shop *s, enum store_status wanted)
{
    unsigned failed = 0;
    for (unsigned j = 0; j < JOBS; j++) {
        for (unsigned step = 0; step < STEPS; step++) {
            struct store_call *c = call_for(s, j, (enum step)step);
            while (shop_run(s, c) != STORE_OK) {
                cr_assert_eq(c->status, wanted, "%d: %s", c->status, c->error);
                cr_assert(strstr(c->error, "the job store cannot be used"), "%s", c->error);
                failed++;
                if (failed == 3) power_vfs_mend();
            }
            store_call_free(c);
        }
    }
    return failed;
}

static void fail_at_each_operation(int rc, bool for_good, enum store_status wanted)
{
    static const unsigned all_done[JOBS] = {STEPS, STEPS, STEPS, STEPS};
    bool has_failed = true;
    unsigned failed_calls = 0;
    power_vfs_install();
    /* A run repeats the same operations for several jobs, so it is enough to make every second operation fail. Each run
     * uses a new store. */
    for (unsigned number = 0; has_failed; number += 2) {
        struct shop s;
        shop_init(&s);
        shop_open(&s);
        power_vfs_fail(number, rc, for_good);
        failed_calls += run_stubbornly(&s, wanted);
        has_failed = power_vfs_mend();
        assert_jobs(&s, all_done);
        shop_reopen(&s);
        assert_jobs(&s, all_done);
        shop_release(&s);
        power_vfs_forget();
    }
    power_vfs_remove();
    cr_assert_gt(failed_calls, 10);
    assert_no_leaks();
}

Test(store_crash, a_disk_that_is_full_once_loses_nothing, .timeout = 300)
{
    fail_at_each_operation(SQLITE_FULL, false, STORE_FULL);
}

Test(store_crash, a_disk_that_stays_full_loses_nothing, .timeout = 300)
{
    fail_at_each_operation(SQLITE_FULL, true, STORE_FULL);
}

Test(store_crash, a_disk_that_fails_for_a_while_loses_nothing, .timeout = 300)
{
    fail_at_each_operation(SQLITE_IOERR_WRITE, true, STORE_AWAY);
}

Test(store_crash, a_file_that_can_no_longer_be_written_is_broken_and_can_be_read)
{
    struct shop s;
    shop_init(&s);
    power_vfs_install();
    shop_open(&s);
    shop_submit(&s, shop_id(1), 0);
    power_vfs_fail(0, SQLITE_READONLY, true);
    struct store_call *c = shop_new_job(&s, shop_id(2), NULL);
    cr_assert_eq(shop_run(&s, c), STORE_BROKEN, "%s", c->error);
    store_call_free(c);
    cr_assert_eq(shop_state(&s, shop_id(1)), STORED_PENDING);
    cr_assert(power_vfs_mend());
    shop_release(&s);
    power_vfs_remove();
    assert_no_leaks();
}
