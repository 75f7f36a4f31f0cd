/* Turns without progress: what counts as a turn without progress, and which descriptor or step the log names. The tests
 * that use a loop run it for a fixed number of turns, so they do not depend on speed. */
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/loop/progress.h"
#include "common/loop/turn_stall.h"
#include "common/observe/log.h"
#include "common/observe/metrics.h"
#include "unit/leaks.h"

Test(turn_stall, a_turn_after_a_sleep_or_by_a_timer_is_not_stalled)
{
    static const struct {
        int timeout_ms;
        bool awake;
        uint64_t slept_ns;
        enum turn_cause cause;
    } cases[] = {
        {-1, false, 0, TURN_AT_ONCE},
        {-1, false, NS_PER_MS, TURN_AFTER_SLEEP},
        {50, false, 100, TURN_AT_ONCE},
        {50, false, 20 * NS_PER_MS, TURN_AFTER_SLEEP},
        {50, false, 50 * NS_PER_MS, TURN_BY_TIMER},
        {1, false, NS_PER_MS, TURN_BY_TIMER},
        {0, false, 0, TURN_BY_TIMER},
        {0, true, 0, TURN_AT_ONCE},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        cr_expect_eq(stall_cause(cases[i].timeout_ms, cases[i].awake, cases[i].slept_ns), cases[i].cause, "case %zu",
                     i);
}

/* Ends n turns with this cause and no progress. Returns whether the last turn was stalled. */
static bool end_turns(struct stall *s, unsigned n, enum turn_cause cause)
{
    bool stalled = false;
    for (unsigned i = 0; i < n; i++) stalled = stall_ended_turn(s, cause, s->progress);
    return stalled;
}

Test(turn_stall, many_turns_in_a_row_without_progress_are_stalled)
{
    struct stall s = {0};
    cr_assert_not(end_turns(&s, STALL_TURNS - 1, TURN_AT_ONCE));
    cr_assert(end_turns(&s, 1, TURN_AT_ONCE));
    cr_assert(end_turns(&s, 1000, TURN_AT_ONCE));
    cr_assert_not(stall_ended_turn(&s, TURN_AT_ONCE, s.progress + 1), "progress ends a stall");
    cr_assert_not(end_turns(&s, STALL_TURNS - 1, TURN_AT_ONCE));
    cr_assert_not(end_turns(&s, 1, TURN_AFTER_SLEEP), "a sleep ends a stall");
    cr_assert_not(end_turns(&s, STALL_TURNS - 1, TURN_AT_ONCE));
    cr_assert_not(end_turns(&s, 10, TURN_BY_TIMER), "a timer is not progress, but its turn is not stalled");
    cr_assert(end_turns(&s, 1, TURN_AT_ONCE));
}

/* A service's loop with one descriptor that is watched, and one step. */
static struct {
    uv_loop_t loop;
    struct turn_stall stall;
    struct turn_step step;
    uv_poll_t poll;
    int fds[2];
    unsigned turns, limit; /* `limit`: after this many turns, the loop stops */
    bool reads;
} bed;

static void on_ready(uv_poll_t *poll, int status, int events)
{
    char byte;
    if (bed.reads && read(bed.fds[0], &byte, 1) == 1) progress_note();
    if (bed.reads) cr_assert_eq(write(bed.fds[1], "x", 1), 1);
    if (++bed.turns == bed.limit) uv_stop(&bed.loop);
}

static void on_step(void *data)
{
    if (++bed.turns == bed.limit) uv_stop(&bed.loop);
}

static void open_pipe(void)
{
    cr_assert_eq(pipe(bed.fds), 0);
    cr_assert_eq(write(bed.fds[1], "x", 1), 1);
}

/* Makes a TCP connection that holds an unread byte. Returns the local port of bed.fds[0]. */
static unsigned open_socket(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&at, size), 0);
    cr_assert_eq(listen(listener, 1), 0);
    getsockname(listener, (struct sockaddr *)&at, &size);
    bed.fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(bed.fds[0], (struct sockaddr *)&at, size), 0);
    bed.fds[1] = accept(listener, NULL, NULL);
    cr_assert_eq(write(bed.fds[1], "x", 1), 1);
    close(listener);
    getsockname(bed.fds[0], (struct sockaddr *)&at, &size);
    return ntohs(at.sin_port);
}

static void bed_start(unsigned limit)
{
    bed.limit = limit;
    bed.turns = 0;
    log_set_level(LOG_LEVEL_WARN);
    cr_assert_eq(uv_loop_init(&bed.loop), 0);
    turn_stall_start(&bed.stall, &bed.loop);
    turn_add(&bed.loop, &bed.step, TURN_IDLE_REDUCTIONS, on_step, NULL);
    uv_poll_init(&bed.loop, &bed.poll, bed.fds[0]);
}

/* Runs the loop until it stops. Returns the number of stalled turns, and appends what was logged to *said. */
static uint64_t bed_run(struct buf *said)
{
    int log[2], err = dup(STDERR_FILENO);
    char text[4096];
    cr_assert_eq(pipe(log), 0);
    dup2(log[1], STDERR_FILENO);
    uv_run(&bed.loop, UV_RUN_DEFAULT);
    log_flush_wait(1000);
    dup2(err, STDERR_FILENO);
    close(err);
    close(log[1]);
    for (ssize_t n; (n = read(log[0], text, sizeof text)) > 0;) buf_add(said, text, (size_t)n);
    close(log[0]);
    return *bed.stall.stalled;
}

static void bed_stop(struct buf *said)
{
    uv_close((uv_handle_t *)&bed.poll, NULL);
    turn_remove(&bed.step);
    turn_stall_stop(&bed.stall);
    uv_run(&bed.loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&bed.loop), 0);
    close(bed.fds[0]);
    close(bed.fds[1]);
    buf_release(said);
    metrics_release();
    assert_no_leaks();
}

static unsigned count(const char *text, const char *word)
{
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, word)); at++) n++;
    return n;
}

Test(turn_stall, a_descriptor_that_nobody_reads_is_counted_and_named_once)
{
    struct buf said = {0};
    char name[64];
    open_pipe();
    bed_start(4 * STALL_TURNS);
    uv_poll_start(&bed.poll, UV_READABLE, on_ready);
    cr_assert_geq(bed_run(&said), STALL_TURNS);
    snprintf(name, sizeof name, "descriptor %d pipe:[", bed.fds[0]);
    cr_assert_eq(count(buf_cstr(&said), "the loop turns without progress"), 1, "%s", buf_cstr(&said));
    cr_assert_eq(count(buf_cstr(&said), name), 1, "%s", buf_cstr(&said));
    bed_stop(&said);
}

Test(turn_stall, a_socket_is_named_with_its_addresses)
{
    struct buf said = {0};
    char name[64];
    snprintf(name, sizeof name, "] 127.0.0.1:%u 127.0.0.1:", open_socket());
    bed_start(2 * STALL_TURNS);
    uv_poll_start(&bed.poll, UV_READABLE, on_ready);
    cr_assert_gt(bed_run(&said), 0);
    cr_assert_eq(count(buf_cstr(&said), name), 1, "%s", buf_cstr(&said));
    bed_stop(&said);
}

Test(turn_stall, a_step_that_stays_awake_without_work_is_named)
{
    struct buf said = {0};
    open_pipe();
    bed_start(2 * STALL_TURNS);
    turn_stay_awake(&bed.step, true);
    turn_keep_loop(&bed.step, true);
    cr_assert_gt(bed_run(&said), 0);
    cr_assert_eq(count(buf_cstr(&said), turn_place_name(TURN_IDLE_REDUCTIONS)), 1, "%s", buf_cstr(&said));
    bed_stop(&said);
}

Test(turn_stall, a_busy_loop_that_moves_bytes_is_not_stalled)
{
    struct buf said = {0};
    open_pipe();
    bed.reads = true;
    bed_start(4 * STALL_TURNS);
    uv_poll_start(&bed.poll, UV_READABLE, on_ready);
    cr_assert_eq(bed_run(&said), 0);
    cr_assert_eq(said.len, 0, "%s", buf_cstr(&said));
    bed_stop(&said);
}

Test(turn_stall, stopping_what_was_not_started_does_nothing)
{
    struct turn_stall unused = {0};
    turn_stall_stop(&unused);
}
