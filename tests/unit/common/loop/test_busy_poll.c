/* Polling for events before the loop sleeps. The decision to poll is tested with invented times, and the polling itself
 * is tested in a real loop. */
#include <criterion/criterion.h>
#include <unistd.h>

#include "common/observe/metrics.h"
#include "common/loop/busy_poll.h"
#include "unit/leaks.h"

#define US    NS_PER_US
#define LIMIT (100 * US)
#define NOW   NS_PER_S

static struct busy_poll used_to_quick_events(void)
{
    struct busy_poll b = {.limit_ns = LIMIT};
    for (int i = 0; i < 100; i++) busy_poll_slept(&b, 40 * US);
    return b;
}

static bool looks(const struct busy_poll *b, uint64_t now)
{
    uint64_t budget = busy_poll_budget(b, now);
    cr_assert(budget == 0 || budget == LIMIT);
    return budget > 0;
}

Test(busy_poll, looks_only_when_enough_waits_were_short)
{
    struct busy_poll b = {.limit_ns = LIMIT};
    for (int i = 0; i < BUSY_POLL_SCORE; i++) {
        cr_assert_not(looks(&b, NOW));
        busy_poll_slept(&b, 40 * US);
    }
    cr_assert(looks(&b, NOW));
}

Test(busy_poll, goes_on_through_a_long_wait_now_and_then_but_not_through_several)
{
    struct busy_poll b = used_to_quick_events();
    for (int i = 0; i < 1000; i++) {
        busy_poll_polled(&b, i % 10 == 0 ? LIMIT : LIMIT - 1);
        cr_assert(looks(&b, NOW));
    }
    for (int i = 0; i < 4; i++) busy_poll_polled(&b, LIMIT);
    cr_assert_not(looks(&b, NOW));
}

Test(busy_poll, sleeps_when_every_second_wait_is_long)
{
    struct busy_poll b = used_to_quick_events();
    for (int i = 0; i < 20; i++) busy_poll_slept(&b, i % 2 == 0 ? 40 * US : 1000 * US);
    for (int i = 0; i < 1000; i++) {
        busy_poll_slept(&b, i % 2 == 0 ? 40 * US : 1000 * US);
        cr_assert_not(looks(&b, NOW));
    }
}

Test(busy_poll, rests_when_somebody_kept_the_processor_and_longer_each_time)
{
    struct busy_poll b = used_to_quick_events();
    uint64_t now = NOW, least = 5 * NS_PER_MS, most = 500 * NS_PER_MS;
    cr_assert(busy_poll_yielded(&b, LIMIT, now), "the process that we wait for may have run");
    cr_assert(looks(&b, now));
    for (uint64_t rest = least; rest < most; rest *= 2) {
        cr_assert_not(busy_poll_yielded(&b, 3 * NS_PER_MS, now));
        cr_assert_not(looks(&b, now + rest - 1));
        cr_assert(looks(&b, now += rest));
    }
    cr_assert_not(busy_poll_yielded(&b, 3 * NS_PER_MS, now));
    cr_assert_not(looks(&b, now + most - 1));
    cr_assert(looks(&b, now + most));
}

Test(busy_poll, what_it_finds_shortens_the_next_rest)
{
    struct busy_poll b = used_to_quick_events();
    for (int i = 0; i < 10; i++) cr_assert_not(busy_poll_yielded(&b, 3 * NS_PER_MS, NOW));
    for (int i = 0; i < 1000; i++) busy_poll_polled(&b, 20 * US);
    cr_assert_not(busy_poll_yielded(&b, 3 * NS_PER_MS, NOW));
    cr_assert(looks(&b, NOW + 5 * NS_PER_MS));
}

Test(busy_poll, with_a_limit_of_0_it_never_looks)
{
    struct busy_poll b = {0};
    for (int i = 0; i < 100; i++) busy_poll_slept(&b, 0);
    cr_assert_eq(busy_poll_budget(&b, NOW), 0);
}

/* A loop in which no wait lasts long, because an earlier step of each turn writes to a pipe that the loop reads. */

struct chat {
    struct busy_poller poller;
    uv_loop_t loop;
    struct turn_step talk;
    uv_poll_t listen;
    int pipe[2];
    uint64_t heard, enough;
};

static void say(void *chat)
{
    const struct chat *c = chat;
    cr_assert_eq(write(c->pipe[1], "x", 1), 1);
}

static bool is_over(const struct chat *c)
{
    return c->enough ? c->heard >= c->enough : *c->poller.found >= 10;
}

static void hear(uv_poll_t *poll, int status, int events)
{
    struct chat *c = poll->data;
    char byte;
    cr_assert_eq(read(c->pipe[0], &byte, 1), 1);
    c->heard++;
    if (!is_over(c)) return;
    turn_remove(&c->talk);
    uv_close((uv_handle_t *)&c->listen, NULL);
}

static void chat_open(struct chat *c, int64_t limit_us)
{
    cr_assert_eq(uv_loop_init(&c->loop), 0);
    cr_assert_eq(pipe(c->pipe), 0);
    busy_poller_start(&c->poller, &c->loop, limit_us);
    uv_poll_init(&c->loop, &c->listen, c->pipe[0]);
    c->listen.data = c;
    turn_add(&c->loop, &c->talk, TURN_BEFORE_SLEEP_SERVER, say, c);
    uv_poll_start(&c->listen, UV_READABLE, hear);
}

static void chat_close(struct chat *c)
{
    busy_poller_stop(&c->poller);
    uv_run(&c->loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&c->loop), 0);
    close(c->pipe[0]);
    close(c->pipe[1]);
    metrics_release();
    assert_no_leaks();
}

Test(busy_poll, in_a_loop_it_finds_what_comes_and_hands_everything_on)
{
    struct chat c = {0};
    chat_open(&c, 1000);
    uv_run(&c.loop, UV_RUN_DEFAULT);
    cr_assert_geq(*c.poller.found, 10);
    cr_assert_geq(c.heard, *c.poller.found + BUSY_POLL_SCORE);
    chat_close(&c);
}

Test(busy_poll, in_a_loop_where_it_is_off_it_only_sleeps)
{
    struct chat c = {.enough = 100};
    chat_open(&c, 0);
    uv_run(&c.loop, UV_RUN_DEFAULT);
    cr_assert_eq(c.heard, 100);
    cr_assert_eq(*c.poller.found + *c.poller.in_vain + *c.poller.given_up, 0);
    chat_close(&c);
}

static void end_timer(uv_timer_t *timer)
{
    uv_close((uv_handle_t *)timer, NULL);
}

Test(busy_poll, a_loop_with_nothing_but_a_timer_looks_in_vain_once_and_the_timer_fires)
{
    struct chat c = {0};
    uv_timer_t timer;
    chat_open(&c, 1000);
    uv_run(&c.loop, UV_RUN_DEFAULT);
    c.poller.state.score = BUSY_POLL_SCORE;
    c.poller.state.pause_until_ns = 0;
    uint64_t tried = *c.poller.in_vain + *c.poller.given_up;
    uv_timer_init(&c.loop, &timer);
    uv_timer_start(&timer, end_timer, 50, 0);
    uv_run(&c.loop, UV_RUN_DEFAULT);
    cr_assert_eq(*c.poller.in_vain + *c.poller.given_up, tried + 1);
    chat_close(&c);
}
