/* When the loop looks for events before it sleeps: the thinking with made-up times, and the looking in a real loop. */
#include <criterion/criterion.h>
#include <unistd.h>

#include "busy_poll.h"
#include "leaks.h"
#include "metrics.h"

#define US    NS_PER_US
#define LIMIT (100 * US)
#define NOW   NS_PER_S

static struct busy_poll used_to_quick_events(void)
{
    struct busy_poll b = {.limit_ns = LIMIT};
    for (int i = 0; i < BUSY_POLL_QUICK; i++) busy_poll_slept(&b, 40 * US);
    return b;
}

Test(busy_poll, looks_only_when_enough_waits_in_a_row_were_short)
{
    struct busy_poll b = {.limit_ns = LIMIT};
    for (int i = 0; i < BUSY_POLL_QUICK; i++) {
        cr_assert_eq(busy_poll_budget(&b, NOW), 0);
        busy_poll_slept(&b, 40 * US);
    }
    cr_assert_eq(busy_poll_budget(&b, NOW), LIMIT);
}

Test(busy_poll, one_long_sleep_begins_the_count_anew)
{
    struct busy_poll b = used_to_quick_events();
    busy_poll_slept(&b, 10000 * US);
    for (int i = 0; i < BUSY_POLL_QUICK - 1; i++) busy_poll_slept(&b, 40 * US);
    cr_assert_eq(busy_poll_budget(&b, NOW), 0);
    busy_poll_slept(&b, 40 * US);
    cr_assert_eq(busy_poll_budget(&b, NOW), LIMIT);
}

Test(busy_poll, what_was_found_keeps_it_looking_and_one_look_in_vain_ends_that)
{
    struct busy_poll b = used_to_quick_events();
    for (int i = 0; i < 1000; i++) busy_poll_looked(&b, LIMIT - 1);
    cr_assert_eq(busy_poll_budget(&b, NOW), LIMIT);
    busy_poll_looked(&b, LIMIT);
    cr_assert_eq(busy_poll_budget(&b, NOW), 0);
}

Test(busy_poll, rests_when_somebody_kept_the_processor)
{
    struct busy_poll b = used_to_quick_events();
    cr_assert(busy_poll_given_away(&b, LIMIT / 2, NOW), "the one we wait for may have run");
    cr_assert_eq(busy_poll_budget(&b, NOW), LIMIT);
    cr_assert_not(busy_poll_given_away(&b, 3000 * US, NOW));
    cr_assert_eq(busy_poll_budget(&b, NOW), 0);
    cr_assert_eq(busy_poll_budget(&b, NOW + NS_PER_S / 1000), 0);
    cr_assert_eq(busy_poll_budget(&b, NOW + NS_PER_S), LIMIT);
}

Test(busy_poll, with_a_limit_of_0_it_never_looks)
{
    struct busy_poll b = {0};
    for (int i = 0; i < 100; i++) busy_poll_slept(&b, 0);
    cr_assert_eq(busy_poll_budget(&b, NOW), 0);
}

/* A loop whose every wait ends at once: its own prepare watcher, which runs first, writes to a pipe that it reads. */

struct chat {
    struct busy_poller poller;
    uv_loop_t loop;
    uv_prepare_t talk;
    uv_poll_t listen;
    int pipe[2];
    uint64_t heard, enough;
};

static void say(uv_prepare_t *prepare)
{
    struct chat *c = prepare->data;
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
    uv_close((uv_handle_t *)&c->talk, NULL);
    uv_close((uv_handle_t *)&c->listen, NULL);
}

static void chat_open(struct chat *c, int64_t limit_us)
{
    cr_assert_eq(uv_loop_init(&c->loop), 0);
    cr_assert_eq(pipe(c->pipe), 0);
    busy_poller_start(&c->poller, &c->loop, limit_us);
    uv_prepare_init(&c->loop, &c->talk);
    uv_poll_init(&c->loop, &c->listen, c->pipe[0]);
    c->talk.data = c->listen.data = c;
    uv_prepare_start(&c->talk, say);
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
    cr_assert_geq(c.heard, *c.poller.found + BUSY_POLL_QUICK);
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
    c.poller.thinking.quick = BUSY_POLL_QUICK;
    c.poller.thinking.rest_until_ns = 0;
    uint64_t tried = *c.poller.in_vain + *c.poller.given_up;
    uv_timer_init(&c.loop, &timer);
    uv_timer_start(&timer, end_timer, 50, 0);
    uv_run(&c.loop, UV_RUN_DEFAULT);
    cr_assert_eq(*c.poller.in_vain + *c.poller.given_up, tried + 1);
    chat_close(&c);
}
