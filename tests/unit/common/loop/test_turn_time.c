/* The duration of turns: time spent on work counts, time spent asleep does not. The tests do not depend on speed: they
 * check only facts that hold on any machine. */
#include <criterion/criterion.h>
#include <unistd.h>

#include "common/loop/turn_time.h"

static uv_loop_t loop;
static struct turn_time times;

static double value_of(const char *name)
{
    struct buf text = {0};
    cr_assert(metrics_render(&text));
    const char *line = strstr(buf_cstr(&text), name);
    cr_assert_not_null(line, "%s is not in the metrics", name);
    double value = strtod(line + strlen(name), NULL);
    buf_release(&text);
    return value;
}

static void work(uv_timer_t *timer)
{
    usleep(30000);
}

static void nothing(uv_timer_t *timer)
{
}

/* Runs the loop until a timer has fired after wait_ms. Returns the total time of the test loop in seconds. */
static double run_timer(uv_timer_cb callback, uint64_t wait_ms)
{
    uv_timer_t timer;
    cr_assert_eq(uv_loop_init(&loop), 0);
    turn_time_start(&times, &loop);
    uint64_t begin = now_ns();
    uv_timer_init(&loop, &timer);
    /* The first measured turn begins after the first poll. This timer fires before the first poll, so `callback` runs
     * in a measured turn. */
    uv_timer_start(&timer, nothing, 0, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_timer_start(&timer, callback, wait_ms, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    /* A turn is measured when the next turn begins, so this timer adds one more turn. */
    uv_timer_start(&timer, nothing, 0, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    double took_s = (double)(now_ns() - begin) / 1e9;
    uv_close((uv_handle_t *)&timer, NULL);
    turn_time_stop(&times);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0);
    return took_s;
}

Test(turn_time, a_turn_in_which_a_callback_works_is_counted_with_that_work)
{
    run_timer(work, 1);
    double all = value_of("fantail_loop_turn_seconds_count ");
    double quick = value_of("fantail_loop_turn_seconds_bucket{le=\"0.02\"} ");
    cr_assert_geq(all - quick, 1);
    cr_assert_geq(value_of("fantail_loop_turn_seconds_sum "), 0.03);
    metrics_release();
}

Test(turn_time, the_sleep_of_the_loop_is_no_part_of_a_turn)
{
    double took_s = run_timer(nothing, 200), slept_s = 0.19;
    cr_assert_leq(value_of("fantail_loop_turn_seconds_sum "), took_s - slept_s);
    metrics_release();
}

Test(turn_time, stopping_what_was_not_started_does_nothing)
{
    struct turn_time unused = {0};
    turn_time_stop(&unused);
}
