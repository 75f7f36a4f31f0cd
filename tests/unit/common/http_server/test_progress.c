/* A connection that keeps the daemon busy without transferring bytes is closed. */
#include "common/http_server/http_server_internal.h"
#include "common/observe/metrics.h"
#include "unit/common/http_server/http_server_harness.h"

static uint64_t stuck(void)
{
    return *metric_counter("fantail_http_stuck_connections_total",
                           "Connections closed because they kept the loop busy without transferring bytes.", "");
}

/* The test simulates turns in which the library reads nothing, so the result is the same for every version of the
 * library. */
Test(http_server, a_connection_that_moves_no_bytes_while_the_daemon_runs_is_ended)
{
    uint64_t before = stuck();
    start();
    int idle = client(), slow = client(), fd = client();
    say(idle, "GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(idle, "hello");
    say(slow, "POST /count HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\na");
    say(fd, "POST /count HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\na");
    TURN_UNTIL(saw.body_bytes == 2);
    say(fd, "b");
    while (stuck() == before) {
        server->turn++;
        uv_update_time(server->loop);
        http_progress_after_turn(server, true);
    }
    assert_hears(fd, "makes no progress");
    assert_hears_end(fd);
    cr_assert_eq(stuck(), before + 1);

    say(slow, "b");
    assert_hears(slow, "HTTP/1.1 200");
    say(idle, "GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(idle, "hello");
    close(idle), close(slow), close(fd);
    stop();
}

/* Turns off http_framing, which would refuse the long chunk line of the test below. */
static void read_unchecked(struct http_connection *c)
{
    c->framing.state = HTTP_FRAMING_BODY;
    c->framing.left = UINT64_MAX;
}

/* If a chunk line is too long, older versions of the library keep the processor busy, so http_progress ends the
 * connection with 400. Newer versions of the library answer 413. */
Test(http_server, a_chunk_line_that_does_not_fit_into_the_buffer_keeps_no_daemon_busy)
{
    static char extension[300000];
    start();
    int slow = client(), held = client();
    say(held, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
    TURN_UNTIL(saw.ends == 1);
    say(slow, "POST /count HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\na");
    TURN_UNTIL(saw.body_bytes == 1);

    int fd = client();
    say(fd, "POST /count HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    TURN_UNTIL(server->open_exchanges == 3);
    read_unchecked(server->connections);
    memset(extension, 'a', sizeof extension);
    say(fd, "3;");
    say_bytes(fd, extension, sizeof extension);
    assert_hears(fd, "HTTP/1.1 4");
    assert_hears_end(fd);
    TURN_UNTIL(!server->unfinished);

    say(slow, "b");
    assert_hears(slow, "\r\n\r\n2");
    close(slow), close(held), close(fd);
    stop();
}

/* While a client reads slowly, the daemon is not busy. While a client reads quickly, bytes are transferred. */
Test(http_server, long_answers_are_not_taken_for_a_standstill)
{
    uint64_t before = stuck();
    start();
    saw.pull_room = 64 * MIB;
    saw.pull_ends = true;
    int fd = client();
    say(fd, "GET /stream HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    for (int turns = 0; turns < 3000; turns++) turn();
    assert_hears_end(fd);
    cr_assert_eq(saw.pulled, 64 * MIB);
    cr_assert_eq(stuck(), before);
    close(fd);
    stop();
}
