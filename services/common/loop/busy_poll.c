#include "common/loop/busy_poll.h"

#include <poll.h>
#include <sched.h>

#include "common/machine/cpu_quota.h"
#include "common/observe/metrics.h"

#define DEFAULT_LIMIT_US 100
/* The measured time of a sleep is too long by about this much, because the clock is read only after the processor has
 * woken up and the first events have been handled. */
#define WAKING_NS (50 * NS_PER_US)
/* If a yield lasted this long, another process has long work to do. */
#define LONG_YIELD_NS  NS_PER_MS
#define PAUSE_LEAST_NS (5 * NS_PER_MS)
#define PAUSE_MOST_NS  (500 * NS_PER_MS)

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t busy_poll_budget(const struct busy_poll *b, uint64_t now_ns)
{
    return b->score >= BUSY_POLL_SCORE && now_ns >= b->pause_until_ns ? b->limit_ns : 0;
}

static void count_wait(struct busy_poll *b, bool quick)
{
    if (!quick)
        b->score -= b->score < BUSY_POLL_PRICE ? b->score : BUSY_POLL_PRICE;
    else if (b->score < BUSY_POLL_SCORE_MOST)
        b->score++;
}

void busy_poll_polled(struct busy_poll *b, uint64_t waited_ns)
{
    count_wait(b, waited_ns < b->limit_ns);
    if (waited_ns < b->limit_ns) b->pause_ns -= b->pause_ns / 32;
}

void busy_poll_slept(struct busy_poll *b, uint64_t waited_ns)
{
    count_wait(b, waited_ns < b->limit_ns + WAKING_NS);
}

/* A short yield is not a reason to stop polling, because the processes that the loop waits for may run on this
 * processor too. */
bool busy_poll_yielded(struct busy_poll *b, uint64_t away_ns, uint64_t now_ns)
{
    if (away_ns < LONG_YIELD_NS) return true;
    b->pause_ns = b->pause_ns < PAUSE_LEAST_NS ? PAUSE_LEAST_NS : min_u64(2 * b->pause_ns, PAUSE_MOST_NS);
    b->pause_until_ns = now_ns + b->pause_ns;
    return false;
}

/* Polls until there are events or the time is up. Does not handle the events: the loop's own poll follows and finds
 * them immediately. Does not see descriptors that the program has just begun to watch, because only the loop's own poll
 * adds them to the set. Returns the counter for the result of this poll. */
static uint64_t *poll_events(struct busy_poller *p, int fd, uint64_t begun, uint64_t budget_ns)
{
    struct pollfd events = {.fd = fd, .events = POLLIN};
    for (uint64_t now = begun, before;;) {
        bool found = poll(&events, 1, 0) > 0;
        if (found || now - begun >= budget_ns) {
            busy_poll_polled(&p->state, now - begun);
            return found ? p->found : p->in_vain;
        }
        before = now;
        sched_yield();
        now = uv_hrtime();
        if (!busy_poll_yielded(&p->state, now - before, now)) return p->given_up;
    }
}

static void before_sleep(void *poller)
{
    struct busy_poller *p = poller;
    int timeout_ms = uv_backend_timeout(p->loop);
    if (timeout_ms == 0) return;
    uint64_t now = uv_hrtime(), budget_ns = busy_poll_budget(&p->state, now);
    if (timeout_ms > 0) budget_ns = min_u64(budget_ns, (uint64_t)timeout_ms * NS_PER_MS);
    if (budget_ns)
        ++*poll_events(p, uv_backend_fd(p->loop), now, budget_ns);
    else
        p->slept_from_ns = now;
}

static void after_poll(void *poller)
{
    struct busy_poller *p = poller;
    if (p->slept_from_ns) busy_poll_slept(&p->state, uv_hrtime() - p->slept_from_ns);
    p->slept_from_ns = 0;
}

static void register_metrics(struct busy_poller *p)
{
    static const char *const ends[] = {"found", "in_vain", "given_up"};
    uint64_t *counters[ARRAY_SIZE(ends)];
    metric_counters("fantail_busy_polls_total", "Number of polls for events before the loop sleeps, by result.", "end",
                    ends, ARRAY_SIZE(ends), counters);
    p->found = counters[0];
    p->in_vain = counters[1];
    p->given_up = counters[2];
}

void busy_poller_start(struct busy_poller *p, uv_loop_t *loop, int64_t limit_us)
{
    if (limit_us < 0) limit_us = cpu_is_metered() ? 0 : DEFAULT_LIMIT_US;
    p->state.limit_ns = (uint64_t)limit_us * NS_PER_US;
    register_metrics(p);
    p->loop = loop;
    if (limit_us == 0) return;
    turn_add(loop, &p->before_sleep, TURN_BEFORE_SLEEP_BUSY_POLL, before_sleep, p);
    turn_add(loop, &p->after_poll, TURN_AFTER_POLL_BUSY_POLL, after_poll, p);
}

void busy_poller_stop(struct busy_poller *p)
{
    turn_remove(&p->before_sleep);
    turn_remove(&p->after_poll);
}
