/* Processes that cannot start, or that end before they answer. */
#include "unit/worker/pool/pool_harness.h"

Test(pool, the_items_of_a_program_that_cannot_start_fail_with_the_cause)
{
    start("exit 4", 2);
    free(task->path);
    task->path = xstrdup("/nowhere/program");
    struct chunk *c = submit("1\n2\n");
    const char *got = answers(c);
    cr_assert_eq(count(got, "No such file"), 2);
    cr_assert_eq(count(got, "\"crashed\""), 2);
    finish(c);
    stop();
}

Test(pool, the_items_of_a_program_that_exits_at_once_fail_after_a_few_starts)
{
    struct buf items = {0};
    for (int i = 0; i < 3000; i++) buf_add_str(&items, "1\n");
    start("echo no luck >&2; exit 4", 2);
    struct chunk *c = submit(buf_cstr(&items));
    const char *got = answers(c);
    cr_assert_eq(count(got, "\"exit_code\":4"), 3000);
    cr_assert_gt(count(got, "no luck"), 2900);
    cr_assert_lt(pool.losses[LOSS_CRASHED], 20);
    finish(c);
    buf_release(&items);
    stop();
}

static int log_ends[2];

/* Like start(), for a program that says when it is ready. The log is written to a pipe. */
static void start_logged(const char *script, unsigned size)
{
    start(script, size);
    task->ready = true;
    cr_assert(pipe2(log_ends, O_NONBLOCK | O_CLOEXEC) == 0);
    log_set_fd(log_ends[1]);
    log_set_level(LOG_LEVEL_INFO);
}

/* Returns what was logged since the last call, NUL-terminated. */
static const char *logged(void)
{
    static char text[64 * KIB];
    ssize_t n = read(log_ends[0], text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void stop_logged(void)
{
    stop();
    close(log_ends[0]);
    close(log_ends[1]);
}

/* Submits items until this number of process starts have failed. */
static void fail_starts(uint64_t starts)
{
    while (pool.failed_starts < starts) {
        struct chunk *c = submit("1\n2\n");
        answers(c);
        finish(c);
        usleep(1000);
    }
}

static void expect_logged_once(void)
{
    const char *said = logged();
    cr_assert_eq(count(said, "no luck"), 1, "%s", said);
    cr_assert_eq(count(said, "cannot start"), 1, "%s", said);
}

Test(pool, starts_that_fail_alike_are_logged_once)
{
    start_logged("echo no luck >&2; exit 4", 2);
    fail_starts(5);
    expect_logged_once();
    pool_reload(&pool, task, 2);
    fail_starts(3);
    expect_logged_once();
    stop_logged();
}

Test(pool, starts_that_fail_differently_are_all_logged)
{
    start_logged("echo no luck >&2; echo with $$ >&2; exit 4", 1);
    fail_starts(5);
    const char *said = logged();
    cr_assert_eq(count(said, "no luck"), 5, "%s", said);
    cr_assert_eq(count(said, "\"with "), 5, "%s", said);
    cr_assert_eq(count(said, "cannot start"), 3, "%s", said);
    stop_logged();
}

Test(pool, what_processes_print_before_they_are_ready_is_logged_for_each)
{
    start_logged("echo loading >&2; sleep 0.1; echo '#ready'; " SCRIPT, 2);
    struct chunk *c = submit("1\n2\n3\n4\n5\n6\n");
    answers(c);
    while (pool_starting(&pool)) uv_run(&loop, UV_RUN_ONCE);
    cr_assert_eq(pool.count, 2);
    finish(c);
    const char *said = logged();
    cr_assert_eq(count(said, "loading"), 2, "%s", said);
    stop_logged();
}

Test(pool, the_items_of_a_broken_task_fail_in_several_turns_of_the_loop)
{
    enum { ITEMS = 30000, TURN_BYTES = 2 * MIB, BATCH = 1000 };
    struct buf items = {0};
    start("exit 4", 1);
    fail_starts(1);
    for (int i = 0; i < ITEMS; i++) buf_add_str(&items, "1\n");
    while (pool.broken_until_ns < now_ns() + 60 * NS_PER_MS) fail_starts(pool.failed_starts + 1);
    size_t batch_bytes = BATCH * pool.broken_line.len, before = 0, turns = 0;
    struct chunk *c = submit(buf_cstr(&items));
    while (!c->ended) {
        for (int i = 0; i < 20; i++) pool_feed(&pool); /* as if 20 requests had come in this turn */
        cr_assert_leq(c->held - before, 2 * (TURN_BYTES + batch_bytes), "%zu bytes in one turn", c->held - before);
        before = c->held;
        turns++;
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    cr_assert_geq(turns, ITEMS * pool.broken_line.len / 2 / (TURN_BYTES + batch_bytes));
    cr_assert_eq(c->failed, ITEMS);
    finish(c);
    buf_release(&items);
    stop();
}
