/* Bodies that arrive in pieces, and answers before the end of a body. */
#include "unit/common/http_server/http_server_harness.h"

Test(http_server, a_body_is_suspended_when_not_taken_and_goes_on_when_woken)
{
    enum { LEN = 3000000 };
    start();
    saw.body_room = 100000;
    char *data = xcalloc(1, LEN);
    int fd = client();
    say(fd, "POST /count HTTP/1.1\r\n" HOST "Content-Length: 3000000\r\n\r\n");
    size_t sent = 0;
    while (saw.body_bytes < 100000) {
        ssize_t n = send(fd, data, 65536, MSG_NOSIGNAL);
        if (n > 0) sent += (size_t)n;
        turn();
    }
    for (int i = 0; i < 100; i++) turn();
    cr_assert_eq(saw.body_bytes, 100000);
    cr_assert_leq(saw.bodies, 5);
    saw.body_room = 0;
    http_exchange_wake(saw.held); /* the route does not answer yet, and waits again */
    for (int i = 0; i < 100; i++) turn();
    cr_assert_eq(saw.body_bytes, 100000);
    saw.body_room = SIZE_MAX;
    http_exchange_wake(saw.held);
    http_exchange_wake(saw.held);
    say_bytes(fd, data, LEN - sent);
    assert_hears(fd, "\r\n\r\n3000000");
    free(data);
    close(fd);
    stop();
}

Test(http_server, a_chunked_body_arrives_whole)
{
    start();
    saw.body_room = 2;
    int fd = client();
    say(fd, "POST /count HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n");
    TURN_UNTIL(saw.body_bytes == 2);
    saw.body_room = SIZE_MAX;
    http_exchange_wake(saw.held);
    say(fd, "0\r\nTrailer: yes\r\n\r\n");
    assert_hears(fd, "\r\n\r\n5");
    close(fd);
    stop();
}

Test(http_server, expect_continue_is_told_to_go_on)
{
    start();
    int fd = client();
    say(fd, "POST /count HTTP/1.1\r\n" HOST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    assert_hears(fd, "HTTP/1.1 100 Continue\r\n\r\n");
    say(fd, "abc");
    assert_hears(fd, "\r\n\r\n3");
    close(fd);
    assert_exchange("POST /early HTTP/1.1\r\n" HOST "Content-Length: 9\r\nExpect: 100-continue\r\n\r\n", "422",
                    "\"detail\":\"no thanks\",\"pointer\":\"/items\"}");
    stop();
}

Test(http_server, an_answer_before_the_body_is_whole_waits_for_its_end)
{
    start();
    int fd = client();
    say(fd, "POST /early HTTP/1.1\r\n" HOST "Content-Length: 6\r\n\r\nabc");
    for (int i = 0; i < 50; i++) turn();
    cr_assert_eq(saw.dones, 0);
    say(fd, "def");
    assert_hears(fd, "no thanks");
    say(fd, "GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(fd, "hello");
    close(fd);
    stop();
}

Test(http_server, an_answer_while_the_upload_is_suspended_drops_the_rest)
{
    start();
    saw.body_room = 1;
    int fd = client();
    say(fd, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 6\r\n\r\nabcdef");
    TURN_UNTIL(saw.body_bytes == 1);
    cr_assert_eq(http_exchange_data(saw.held), &saw);
    http_answer_problem(saw.held, 400, NULL, "enough");
    assert_hears(fd, "enough");
    TURN_UNTIL(saw.closes == 1);
    cr_assert_eq(saw.how, HTTP_CLOSED_DONE);
    cr_assert_eq(saw.ends, 0);
    close(fd);
    stop();
}

Test(http_server, a_long_body_has_one_slow_step_in_a_turn)
{
    enum { LEN = 4 * MIB };
    static char body[LEN];
    start();
    int fd = client();
    say(fd, "POST /count HTTP/1.1\r\n" HOST "Content-Length: 4194304\r\n\r\n");
    saw.slow = true;
    for (size_t sent = 0; saw.body_bytes < LEN;) {
        ssize_t n = sent < LEN ? send(fd, body + sent, LEN - sent, MSG_NOSIGNAL) : 0;
        if (n > 0) sent += (size_t)n;
        assert_small_turn(&saw.bodies);
    }
    assert_hears(fd, "4194304");
    TURN_UNTIL(saw.closes == 1);
    close(fd);
    stop();
}

/* After a short read, the library assumes that the socket is empty. In this test, http_framing removes many of the
 * bytes that were read, so the library sees short reads. */
Test(http_server, a_body_of_chunks_with_long_extensions_arrives_whole)
{
    enum { CHUNKS = 300, CHUNK_BYTES = 1000, EXTENSION_BYTES = 200 };
    static char bytes[CHUNK_BYTES];
    struct buf b = {0};
    memset(bytes, 'a', sizeof bytes);
    buf_add_str(&b, "POST /count HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < CHUNKS; i++) {
        buf_add_str(&b, "3e8;");
        buf_add(&b, bytes, EXTENSION_BYTES);
        buf_add_str(&b, "\r\n");
        buf_add(&b, bytes, CHUNK_BYTES);
        buf_add_str(&b, "\r\n");
    }
    buf_add_str(&b, "0\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n");
    start();
    int fd = client();
    say_bytes(fd, b.data, b.len);
    assert_hears(fd, "hello");
    cr_assert_eq(saw.body_bytes, CHUNKS * CHUNK_BYTES);
    buf_release(&b);
    close(fd);
    stop();
}
