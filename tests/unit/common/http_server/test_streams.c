/* Streamed answers. */
#include "unit/common/http_server/http_server_harness.h"

Test(http_server, a_short_streamed_answer_has_a_length)
{
    start();
    saw.pull_room = 5;
    saw.pull_ends = true;
    assert_exchange("GET /stream HTTP/1.1\r\n" HOST "\r\n", "200", "Content-Length: 5\r\n\r\nxxxxx");
    TURN_UNTIL(saw.closes == 1);
    stop();
}

Test(http_server, proxies_are_told_to_keep_no_answer_and_to_pass_on_each_piece_of_a_stream)
{
    bool closed;
    start();
    int fd = client();
    say(fd, "GET / HTTP/1.1\r\n" HOST "\r\n");
    struct buf head = hear(fd, "hello", &closed);
    cr_assert(strstr(buf_cstr(&head), "\r\nCache-Control: no-store\r\n"));
    cr_assert_not(strstr(buf_cstr(&head), "X-Accel-Buffering"));
    buf_release(&head);
    saw.pull_room = 5;
    say(fd, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    head = hear(fd, "xxxxx", &closed);
    cr_assert(strstr(buf_cstr(&head), "\r\nCache-Control: no-store, no-transform\r\n"));
    cr_assert(strstr(buf_cstr(&head), "\r\nX-Accel-Buffering: no\r\n"));
    buf_release(&head);
    close(fd);
    stop();
}

Test(http_server, an_answer_that_is_whole_before_it_begins_has_a_length_and_is_not_pulled)
{
    enum { LEN = 3 * MIB };
    start();
    int fd = client();
    saw.whole_bytes = LEN;
    saw.pull_room = 5;
    for (int i = 0; i < 2; i++) {
        bool closed;
        say(fd, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
        struct buf head = hear(fd, "\r\n\r\n", &closed), body = {0};
        cr_assert(strstr(buf_cstr(&head), "Content-Length: 3145728\r\n"));
        const char *at = strstr(buf_cstr(&head), "\r\n\r\n") + 4;
        buf_add(&body, at, head.len - (size_t)(at - head.data));
        while (body.len < LEN) {
            struct buf more = hear(fd, "w", &closed);
            cr_assert(!closed);
            buf_add(&body, more.data, more.len);
            buf_release(&more);
        }
        cr_assert_eq(body.len, LEN);
        cr_assert_eq(strspn(buf_cstr(&body), "w"), LEN);
        buf_release(&head);
        buf_release(&body);
        TURN_UNTIL(saw.closes == (unsigned)i + 1);
        cr_assert_eq(saw.how, HTTP_CLOSED_DONE);
    }
    cr_assert_eq(saw.pulled, 0);
    assert_exchange("HEAD /stream HTTP/1.1\r\n" HOST "\r\n", "200", "\r\n\r\n");
    close(fd);
    stop();
}

Test(http_server, a_client_that_leaves_a_whole_answer_half_read_has_hung_up)
{
    start();
    int fd = client();
    saw.whole_bytes = 64 * MIB;
    say(fd, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(fd, "ww");
    close(fd);
    TURN_UNTIL(saw.closes == 1);
    cr_assert_eq(saw.how, HTTP_CLOSED_HANG_UP);
    stop();
}

Test(http_server, a_streamed_answer_waits_and_goes_on_when_woken)
{
    start();
    int fd = client();
    say(fd, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    TURN_UNTIL(saw.ends == 1);
    for (int i = 0; i < 3; i++) {
        saw.pull_room = 10;
        http_exchange_wake(saw.held);
        assert_hears(fd, "\r\nxxxxxxxxxx\r\n");
    }
    saw.pull_ends = true;
    http_exchange_wake(saw.held);
    assert_hears(fd, "0\r\n\r\n");
    TURN_UNTIL(saw.closes == 1);
    cr_assert_eq(saw.how, HTTP_CLOSED_DONE);
    close(fd);
    stop();
}

Test(http_server, the_head_of_a_stream_leaves_alone_when_it_must_not_wait)
{
    start();
    int fd = client();
    say(fd, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    TURN_UNTIL(saw.ends == 1);
    http_exchange_send_head(saw.held);
    assert_hears(fd, "Transfer-Encoding: chunked\r\n");
    http_exchange_send_head(saw.held);
    saw.pull_room = 10;
    http_exchange_wake(saw.held);
    assert_hears(fd, "\r\nxxxxxxxxxx\r\n");
    http_exchange_send_head(saw.held);
    saw.pull_ends = true;
    http_exchange_wake(saw.held);
    assert_hears(fd, "0\r\n\r\n");
    TURN_UNTIL(saw.closes == 1);
    cr_assert_eq(saw.how, HTTP_CLOSED_DONE);
    close(fd);
    stop();
}

Test(http_server, a_client_that_does_not_read_holds_the_stream_back)
{
    enum { LEN = 64 * MIB };
    start();
    saw.pull_room = LEN;
    saw.pull_ends = true;
    int fd = client();
    say(fd, "GET /stream HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    size_t before;
    do {
        before = saw.pulled;
        for (int i = 0; i < 50; i++) turn();
    } while (saw.pulled != before || saw.pulled == 0);
    cr_assert_lt(saw.pulled, LEN);
    bool closed;
    struct buf got = hear(fd, NULL, &closed);
    cr_assert_gt(got.len, LEN);
    cr_assert_eq(memcmp(got.data + got.len - 5, "0\r\n\r\n", 5), 0);
    buf_release(&got);
    close(fd);
    stop();
}

static void drink(int fd)
{
    char piece[65536];
    while (recv(fd, piece, sizeof piece, 0) > 0) {
    }
}

Test(http_server, a_long_answer_has_one_slow_step_in_a_turn_and_a_short_one_is_whole_in_it)
{
    start();
    saw.pull_room = SIZE_MAX;
    int slow = client(), quick = client();
    say(slow, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(slow, "\r\nxxxxxxxxxx");
    saw.slow = true;
    for (int i = 0; i < 50; i++) {
        assert_small_turn(&saw.pulls);
        drink(slow);
        if (i % 10 != 0) continue;
        unsigned before = saw.pulls;
        cr_assert_eq(send(quick, "GET / HTTP/1.1\r\n" HOST "\r\n", 27, MSG_NOSIGNAL), 27);
        assert_hears(quick, "hello");
        cr_assert_leq(saw.pulls - before, 2, "the short answer waited for %u steps", saw.pulls - before);
    }
    cr_assert_gt(saw.pulls, 10);
    saw.slow = false;
    saw.pull_room = 0;
    saw.pull_ends = true;
    assert_hears(slow, "0\r\n\r\n");
    TURN_UNTIL(saw.closes == 1);
    cr_assert_eq(saw.how, HTTP_CLOSED_DONE);
    close(slow);
    close(quick);
    stop();
}

Test(http_server, an_answer_whose_pull_works_long_for_few_bytes_has_one_step_in_a_turn)
{
    start();
    saw.pull_room = SIZE_MAX;
    int fd = client();
    say(fd, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(fd, "\r\nxxxxxxxxxx");
    saw.slow = true;
    saw.pull_most = 100;
    for (unsigned first = saw.pulls; saw.pulls < first + 20;) {
        assert_small_turn(&saw.pulls);
        drink(fd);
    }
    saw.slow = false;
    saw.pull_room = 0;
    saw.pull_ends = true;
    assert_hears(fd, "0\r\n\r\n");
    close(fd);
    stop();
}

Test(http_server, stopping_and_hanging_up_end_what_waits_for_its_next_step)
{
    for (int hang_up = 0; hang_up < 2; hang_up++) {
        start();
        saw.pull_room = SIZE_MAX;
        int fd = client();
        say(fd, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
        assert_hears(fd, "\r\nxxxxxxxxxx");
        saw.slow = true;
        unsigned before = saw.pulls;
        TURN_UNTIL(saw.pulls > before);
        if (hang_up) close(fd);
        if (hang_up) TURN_UNTIL(saw.closes == 1);
        stop();
        cr_assert_eq(saw.closes, 1);
        cr_assert_eq(saw.how, hang_up ? HTTP_CLOSED_HANG_UP : HTTP_CLOSED_SHUTDOWN);
        if (!hang_up) close(fd);
    }
}

Test(http_server, an_aborted_stream_is_seen_as_cut)
{
    start();
    saw.pull_room = 100000;
    saw.pull_aborts = true;
    int fd = client();
    bool closed;
    say(fd, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    struct buf got = hear(fd, "\r\n0\r\n\r\n", &closed);
    cr_assert(closed);
    cr_assert(!strstr(got.data, "\r\n0\r\n\r\n"));
    TURN_UNTIL(saw.closes == 1);
    cr_assert_eq(saw.how, HTTP_CLOSED_HANG_UP);
    buf_release(&got);
    close(fd);
    stop();
}

Test(http_server, http_1_0_gets_a_stream_that_ends_with_the_connection)
{
    start();
    saw.pull_room = 300000;
    saw.pull_ends = true;
    int fd = client();
    bool closed;
    say(fd, "GET /stream HTTP/1.0\r\n\r\n");
    struct buf got = hear(fd, NULL, &closed);
    cr_assert(!strstr(got.data, "chunked"));
    cr_assert_gt(got.len, 300000);
    buf_release(&got);
    close(fd);
    stop();
}
