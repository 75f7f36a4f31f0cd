/* The order of the steps in a turn of the loop, and which steps keep the loop awake or alive. */
#include <criterion/criterion.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/loop/turn.h"
#include "unit/leaks.h"

static uv_loop_t loop;
static uv_async_t keeper; /* the loop runs steps only while a handle is active */
static struct buf seen;   /* the names of the steps that ran, one per line */

struct named_step {
    struct turn_step step;
    const char *name;
    struct named_step *removes;
    enum turn_place place;
};

static void note(void *data)
{
    struct named_step *s = data;
    buf_add_str(&seen, s->name);
    buf_add_char(&seen, '\n');
    if (s->removes) turn_remove(&s->removes->step);
}

static void add(struct named_step *s)
{
    turn_add(&loop, &s->step, s->place, note, s);
}

/* Runs one turn that does not sleep. */
static const char *run_turn(void)
{
    buf_clear(&seen);
    uv_run(&loop, UV_RUN_NOWAIT);
    return buf_cstr(&seen);
}

static void open_loop(void)
{
    memset(&loop, 0xAA, sizeof loop); /* the loop must work in memory that is not zeroed, as on a stack */
    cr_assert_eq(uv_loop_init(&loop), 0);
    cr_assert_eq(uv_async_init(&loop, &keeper, NULL), 0);
}

static void close_loop(void)
{
    uv_close((uv_handle_t *)&keeper, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0, "every handle is closed when the last step is removed");
    buf_release(&seen);
    assert_no_leaks();
}

static const char whole_turn[] = "idle: long answers\n"
                                 "idle: reductions\n"
                                 "idle: pipelines\n"
                                 "idle: freed memory\n"
                                 "before sleep: scheduler\n"
                                 "before sleep: client\n"
                                 "before sleep: server\n"
                                 "before sleep: log\n"
                                 "before sleep: worked\n"
                                 "before sleep: busy poll\n"
                                 "before sleep: sleeps\n"
                                 "after poll: scheduler\n"
                                 "after poll: client\n"
                                 "after poll: server\n"
                                 "after poll: busy poll\n"
                                 "after poll: durable jobs\n"
                                 "after poll: scheduler again\n";

static void check_whole_turn(const enum turn_place *order)
{
    struct named_step steps[TURN_PLACE_COUNT] = {0};
    open_loop();
    for (int i = 0; i < TURN_PLACE_COUNT; i++) {
        steps[i].place = order[i];
        steps[i].name = turn_place_name(order[i]);
        add(&steps[i]);
        turn_stay_awake(&steps[i].step, true);
    }
    for (int turn = 0; turn < 3; turn++) cr_assert_str_eq(run_turn(), whole_turn);
    for (int i = 0; i < TURN_PLACE_COUNT; i++) turn_remove(&steps[i].step);
    close_loop();
}

Test(turn, steps_run_in_the_order_of_the_table_in_whatever_order_they_are_added)
{
    enum turn_place up[TURN_PLACE_COUNT], down[TURN_PLACE_COUNT], mixed[TURN_PLACE_COUNT];
    for (int i = 0; i < TURN_PLACE_COUNT; i++) {
        up[i] = (enum turn_place)i;
        down[TURN_PLACE_COUNT - 1 - i] = (enum turn_place)i;
        mixed[i] = (enum turn_place)(i * 7 % TURN_PLACE_COUNT);
    }
    check_whole_turn(up);
    check_whole_turn(down);
    check_whole_turn(mixed);
}

Test(turn, of_several_steps_at_one_place_the_newest_runs_first)
{
    struct named_step a = {.name = "a", .place = TURN_BEFORE_SLEEP_SERVER}, b = {.name = "b", .place = a.place},
                      c = {.name = "c", .place = TURN_BEFORE_SLEEP_CLIENT}, d = {.name = "d", .place = a.place};
    open_loop();
    add(&a);
    add(&b);
    add(&c);
    add(&d);
    cr_assert_str_eq(run_turn(), "c\nd\nb\na\n");
    turn_remove(&b.step);
    cr_assert_str_eq(run_turn(), "c\nd\na\n");
    turn_remove(&a.step);
    turn_remove(&c.step);
    turn_remove(&d.step);
    close_loop();
}

Test(turn, a_step_may_remove_itself_or_the_next_one)
{
    struct named_step a = {.name = "a", .place = TURN_AFTER_POLL_CLIENT, .removes = &a},
                      b = {.name = "b", .place = TURN_AFTER_POLL_SERVER},
                      c = {.name = "c", .place = TURN_AFTER_POLL_SCHEDULER_AGAIN};
    open_loop();
    add(&a);
    add(&b);
    add(&c);
    cr_assert_str_eq(run_turn(), "a\nb\nc\n");
    b.removes = &c;
    cr_assert_str_eq(run_turn(), "b\n");
    b.removes = &b;
    cr_assert_str_eq(run_turn(), "b\n", "the phase ends after its last step");
    cr_assert_str_eq(run_turn(), "");
    turn_remove(&b.step);
    close_loop();
}

static void remove_and_add_again(void *data)
{
    struct named_step *s = data;
    turn_remove(&s->step);
    add(s);
}

Test(turn, a_step_that_is_added_while_the_last_turn_closes_runs_in_a_new_one)
{
    struct named_step s = {.name = "s", .place = TURN_BEFORE_SLEEP_LOG};
    open_loop();
    turn_add(&loop, &s.step, s.place, remove_and_add_again, &s);
    run_turn();
    cr_assert_str_eq(run_turn(), "s\n");
    turn_remove(&s.step);
    close_loop();
}

Test(turn, an_idle_step_runs_only_while_it_is_awake_itself)
{
    struct named_step idle = {.name = "idle", .place = TURN_IDLE_LONG_ANSWERS},
                      other = {.name = "other", .place = TURN_AFTER_POLL_SERVER};
    open_loop();
    add(&idle);
    add(&other);
    cr_assert_str_eq(run_turn(), "other\n");
    turn_stay_awake(&other.step, true);
    cr_assert_str_eq(run_turn(), "other\n");
    turn_stay_awake(&idle.step, true);
    cr_assert_str_eq(run_turn(), "idle\nother\n");
    turn_stay_awake(&idle.step, false);
    cr_assert_str_eq(run_turn(), "other\n");
    turn_remove(&idle.step);
    turn_remove(&other.step);
    close_loop();
}

Test(turn, the_loop_sleeps_unless_a_step_is_awake)
{
    struct named_step a = {.name = "a", .place = TURN_AFTER_POLL_SERVER}, b = {.name = "b", .place = a.place};
    open_loop();
    add(&a);
    add(&b);
    run_turn();
    cr_assert_eq(uv_backend_timeout(&loop), -1);
    turn_stay_awake(&a.step, true);
    turn_stay_awake(&a.step, true);
    turn_stay_awake(&b.step, true);
    cr_assert_eq(uv_backend_timeout(&loop), 0);
    turn_stay_awake(&a.step, false);
    cr_assert_eq(uv_backend_timeout(&loop), 0, "the other step is still awake");
    turn_remove(&b.step);
    cr_assert_eq(uv_backend_timeout(&loop), -1, "a removed step does not keep the loop awake");
    turn_remove(&a.step);
    close_loop();
}

Test(turn, the_loop_ends_unless_a_step_keeps_it)
{
    struct named_step a = {.name = "a", .place = TURN_AFTER_POLL_CLIENT}, b = {.name = "b", .place = a.place};
    open_loop();
    add(&a);
    add(&b);
    uv_unref((uv_handle_t *)&keeper);
    turn_stay_awake(&a.step, true);
    cr_assert_not(uv_loop_alive(&loop), "a step that is awake does not keep the loop alive");
    turn_keep_loop(&a.step, true);
    turn_keep_loop(&a.step, true);
    turn_keep_loop(&b.step, true);
    turn_keep_loop(&a.step, false);
    cr_assert(uv_loop_alive(&loop));
    turn_remove(&b.step);
    cr_assert_not(uv_loop_alive(&loop), "a removed step does not keep the loop alive");
    turn_keep_loop(&b.step, true);
    turn_stay_awake(&b.step, true);
    cr_assert_not(uv_loop_alive(&loop), "no call makes a removed step keep the loop alive");
    turn_remove(&a.step);
    close_loop();
}
