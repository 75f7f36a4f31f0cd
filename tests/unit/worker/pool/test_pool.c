/* Which process gets which items, and what happens to the items after a crash, a hang, a cancel and a drain. */
#include "unit/worker/pool/pool_harness.h"

Test(pool, items_are_answered_in_order_by_several_processes)
{
    struct buf items = {0}, expected = {0};
    for (int i = 0; i < 500; i++) {
        buf_addf(&items, "%d\n", i);
        buf_addf(&expected, "{\"value\":%d}\n", i);
    }
    buf_add_str(&expected, "{\"end\":\"complete\",\"done\":500}\n");
    start(SCRIPT, 3);
    struct chunk *c = submit(buf_cstr(&items));
    cr_assert_str_eq(answers(c), buf_cstr(&expected));
    finish(c);
    buf_release(&items);
    buf_release(&expected);
    stop();
}

/* Lets each process answer an item. Then sets the estimates in the window of the process: each item takes item_ns, and
 * the process may hold `limit` items. */
static void warm(uint64_t item_ns, uint64_t limit)
{
    struct chunk *c = submit("1\n2\n");
    answers(c);
    finish(c);
    for (struct process *process = pool.processes; process; process = process->next) {
        process->window.item_ns = item_ns;
        process->window.limit = limit;
    }
}

/* Starts two warm processes that run quick items in their order. */
static void start_in_order(void)
{
    start(SCRIPT, 2);
    task->mode = TASK_NATIVE;
    task->in_order = true;
    warm(NS_PER_US, 1000);
}

Test(pool, the_last_slow_items_wait_until_a_process_is_idle)
{
    start(SCRIPT, 2);
    task->mode = TASK_NATIVE; /* as for a host program, whose window holds several runs */
    warm(5 * NS_PER_MS, 4);
    cr_assert_eq(pool.count, 2);
    struct chunk *c = submit("\"hang\"\n2\n3\n4\n");
    for (struct process *process = pool.processes; process; process = process->next)
        cr_assert_eq(process->window.items, 1);
    cr_assert_eq(pool_queued(&pool), 2);
    finish(c);
    stop();
}

Test(pool, a_process_holds_two_items_if_the_items_start_in_their_order)
{
    struct buf items = {0};
    for (int i = 0; i < 100; i++) buf_add_str(&items, "\"hang\"\n");
    start_in_order();
    struct chunk *c = submit(buf_cstr(&items));
    for (struct process *process = pool.processes; process; process = process->next)
        cr_assert_eq(process->window.items, 2);
    finish(c);
    buf_release(&items);
    stop();
}

/* While "hang" runs, its process holds one of the other items. */
Test(pool, an_item_behind_a_slow_one_goes_to_a_process_that_becomes_idle, .timeout = 60)
{
    start_in_order();
    struct chunk *c = submit("\"hang\"\n1\n2\n3\n4\n5\n");
    unsigned held = 0;
    for (struct process *process = pool.processes; process; process = process->next) held += process->window.items == 2;
    cr_assert_eq(held, 2);
    while (c->succeeded < 5) uv_run(&loop, UV_RUN_ONCE);
    for (struct process *process = pool.processes; process; process = process->next)
        cr_assert_leq(process->window.items, 1);
    finish(c);
    stop();
}

/* A large item could not be taken back from a process, because not all its bytes fit into the socket. */
Test(pool, a_large_item_waits_for_an_idle_process_if_the_items_start_in_their_order)
{
    enum { LARGE = 100000 };
    struct buf items = {0};
    buf_add_str(&items, "\"hang\"\n\"hang\"\n");
    for (int i = 0; i < LARGE; i++) buf_add_char(&items, '1');
    buf_add_str(&items, "\n2\n");
    start_in_order();
    struct chunk *c = submit(buf_cstr(&items));
    for (struct process *process = pool.processes; process; process = process->next)
        cr_assert_eq(process->window.items, 1);
    cr_assert_eq(chunk_available(c), 2);
    finish(c);
    buf_release(&items);
    stop();
}

Test(pool, while_many_slow_items_wait_a_process_holds_as_many_as_its_window_allows)
{
    struct buf items = {0};
    for (int i = 0; i < 100; i++) buf_add_str(&items, "\"hang\"\n");
    start(SCRIPT, 2);
    task->mode = TASK_NATIVE;
    warm(5 * NS_PER_MS, 4);
    struct chunk *c = submit(buf_cstr(&items));
    for (struct process *process = pool.processes; process; process = process->next)
        cr_assert_eq(process->window.items, 4);
    finish(c);
    buf_release(&items);
    stop();
}

Test(pool, a_single_process_gets_its_items_in_one_run)
{
    start(SCRIPT, 1);
    task->mode = TASK_NATIVE;
    warm(NS_PER_MS, 20);
    struct chunk *c = submit("\"hang\"\n2\n3\n4\n5\n");
    cr_assert_eq(pool.processes->window.head->count, 5);
    finish(c);
    stop();
}

Test(pool, a_crash_fails_only_its_item_with_the_signal_and_the_end_of_stderr)
{
    start(SCRIPT, 2);
    struct chunk *c = submit("1\n2\n\"crash\"\n3\n4\n5\n");
    const char *got = answers(c);
    cr_assert_eq(count(got, "\"value\""), 5);
    cr_assert_eq(count(got, "\"name\":\"crashed\""), 1);
    cr_assert_eq(count(got, "\"signal\":9"), 1);
    cr_assert_eq(count(got, "dying"), 1);
    cr_assert_not_null(strstr(got, "{\"value\":2}\n{\"error\""));
    finish(c);
    stop();
}

Test(pool, each_of_many_crashing_items_is_charged_and_no_other)
{
    start(SCRIPT, 1);
    struct chunk *c = submit("\"crash\"\n\"exit\"\n\"crash\"\n\"exit\"\n\"crash\"\n\"bad\"\n7\n");
    const char *got = answers(c);
    cr_assert_eq(count(got, "\"crashed\""), 5, "%s", got);
    cr_assert_eq(count(got, "\"exit_code\":3"), 2);
    cr_assert_eq(count(got, "\"bad_output\""), 1);
    cr_assert_not_null(strstr(got, "{\"value\":7}\n{\"end\":\"complete\",\"done\":7}\n"));
    finish(c);
    stop();
}

/* Runs three items. The second item hangs. Returns whether the first and the third item got values within the time
 * limit. */
static bool end_a_hanging_item(uint64_t item_timeout_ns)
{
    struct chunk_fault fault;
    struct chunk *c = chunk_new(true, 0);
    c->item_timeout_ns = item_timeout_ns;
    cr_assert(chunk_add(c, "1\n\"hang\"\n2\n", 11, &fault) && chunk_finish(c, &fault));
    pool_submit(&pool, c);
    pool_feed(&pool);
    const char *got = answers(c);
    unsigned timed_out = count(got, "\"timed_out\""), values = count(got, "\"value\"");
    cr_assert_eq(timed_out + values, 3, "%s", got);
    cr_assert_geq(timed_out, 1);
    finish(c);
    return values == 2;
}

Test(pool, an_item_that_hangs_is_ended_by_its_time_limit)
{
    uint64_t limit_ns = 200 * NS_PER_MS;
    start(SCRIPT, 1);
    while (!end_a_hanging_item(limit_ns)) {
        limit_ns *= 4; /* on a busy machine, a shell may need more time to start */
        cr_assert_lt(limit_ns, 20 * NS_PER_S);
    }
    stop();
}

Test(pool, cancelling_stops_the_processes_and_others_go_on)
{
    start(SCRIPT, 1);
    struct chunk *a = submit("\"hang\"\n1\n"), *b = submit("5\n");
    while (!pool.processes || !pool.processes->window.head) uv_run(&loop, UV_RUN_ONCE);
    finish(a);
    cr_assert_not_null(strstr(answers(b), "{\"value\":5}\n"));
    cr_assert_eq(pool.losses[LOSS_CANCELLED], 1);
    finish(b);
    stop();
}

Test(pool, a_process_that_has_written_much_gets_one_read_in_a_turn_of_the_loop)
{
    enum { ITEMS = 2000, ANSWER_BYTES = 2000, TURN_BYTES = 64 * KIB + ANSWER_BYTES + 100 };
    struct buf items = {0};
    for (int i = 0; i < ITEMS; i++) buf_addf(&items, "%d\n", i);
    start("s=$(head -c 2000 /dev/zero | tr '\\0' x); while read -r x; do echo \"{\\\"value\\\":\\\"$s\\\"}\"; done", 1);
    task->mode = TASK_NATIVE; /* as for a native host, each line counts as an answer */
    struct chunk *c = submit(buf_cstr(&items));
    while (!c->ended) {
        size_t before = c->out.len;
        usleep(1000); /* if the process was given many items at a time, it writes answers meanwhile */
        uv_run(&loop, UV_RUN_NOWAIT);
        cr_assert_leq(c->out.len - before, TURN_BYTES);
    }
    cr_assert_eq(count(output(c), "\"value\""), ITEMS);
    buf_release(&items);
    finish(c);
    stop();
}

Test(pool, draining_answers_what_runs_and_hands_back_the_rest)
{
    start("while read -r x; do sleep 0.05; echo \"{\\\"value\\\":$x}\"; done", 1);
    struct chunk *c = submit("1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    pool_drain(&pool);
    const char *got = answers(c);
    cr_assert_not_null(strstr(got, "\"end\":\"draining\""));
    cr_assert_lt(count(got, "\"value\""), 9);
    cr_assert_gt(count(got, "\"value\""), 0);
    finish(c);
    stop();
}

Test(pool, a_process_is_replaced_after_its_share_of_items)
{
    start("while read -r x; do echo \"{\\\"value\\\":$$}\"; done", 1);
    task->max_items_per_process = 2;
    struct chunk *c = submit("1\n2\n3\n4\n5\n");
    const char *got = answers(c);
    cr_assert_eq(count(got, "\"value\""), 5);
    cr_assert_geq(pool.losses[LOSS_RETIRED], 2);
    finish(c);
    stop();
}

Test(pool, what_a_process_has_started_dies_with_it_even_in_another_session)
{
    start("while read -r x; do case $x in *crash*) kill -9 $$;; *) setsid sleep 1000 >/dev/null 2>&1 & "
          "echo \"{\\\"value\\\":$!}\";; esac; done",
          1);
    struct chunk *c = submit("1\n");
    int pid = 0;
    cr_assert_eq(sscanf(answers(c), "{\"value\":%d}", &pid), 1);
    finish(c);
    cr_assert_eq(kill(pid, 0), 0);
    c = submit("\"crash\"\n");
    answers(c);
    finish(c);
    /* The loop has no other handles, so uv_run() would return immediately, without handling SIGCHLD. */
    while (kill(pid, 0) == 0) {
        reaper_poll(&reaper);
        usleep(1000);
    }
    stop();
}

Test(pool, the_common_value_precedes_the_items_it_is_for)
{
    start("while read -r x; do case $x in '#'*) c=${x#\\#common };; *) echo \"{\\\"value\\\":[$c,$x]}\";; esac; done",
          1);
    task->common = true;
    struct chunk_fault fault;
    static const char *const commons[] = {"{\"a\":1}", "{\"a\":1}", "2", NULL};
    static const char *const expected[] = {"[{\"a\":1},7]", "[{\"a\":1},7]", "[2,7]", "[null,7]"};
    for (size_t i = 0; i < ARRAY_SIZE(commons); i++) {
        struct chunk *c = chunk_new(true, 0);
        if (commons[i]) c->common = common_value_new(commons[i], strlen(commons[i]));
        cr_assert(chunk_add(c, "7", 1, &fault) && chunk_finish(c, &fault));
        pool_submit(&pool, c);
        pool_feed(&pool);
        cr_assert_not_null(strstr(answers(c), expected[i]), "%s", answers(c));
        finish(c);
    }
    stop();
}

static struct chunk *follower;

/* Submits a second chunk as soon as the first has an answer, as the next stage of a pipeline would. */
static void submit_follower(struct chunk *c)
{
    if (!follower && c->out.len) follower = submit("2\n");
}

Test(pool, a_process_that_has_exited_is_given_no_item_while_its_last_answer_is_passed_on)
{
    struct chunk_fault fault;
    /* A child of the process keeps stdout open, so only the exit shows that the process has ended. */
    start("sleep 1000 & read -r x; echo \"{\\\"value\\\":$x}\"", 1);
    struct chunk *c = chunk_new(true, 0);
    c->on_progress = submit_follower;
    cr_assert(chunk_add(c, "1\n", 2, &fault) && chunk_finish(c, &fault));
    pool_submit(&pool, c);
    pool_feed(&pool);
    cr_assert_not_null(strstr(answers(c), "{\"value\":1}\n"));
    cr_assert_not_null(strstr(answers(follower), "{\"value\":2}\n"), "%s", answers(follower));
    finish(c);
    finish(follower);
    stop();
}
