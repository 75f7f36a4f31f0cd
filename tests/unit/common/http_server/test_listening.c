/* Where a server listens (on ports and socket files), and the limit on its connections. */
#include "common/base/memory_room.h"
#include "common/http_server/http_server_internal.h"
#include "unit/common/http_server/http_server_harness.h"

Test(http_server, beyond_the_connection_cap_clients_wait_their_turn)
{
    start_with((struct http_server_options){.max_connections = 2});
    int a = client(), b = client(), c = client();
    say(a, "GET / HTTP/1.1\r\n" HOST "\r\n");
    say(b, "GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(a, "hello");
    assert_hears(b, "hello");
    say(c, "GET / HTTP/1.1\r\n" HOST "\r\n");
    for (int i = 0; i < 50; i++) turn();
    cr_assert_eq(saw.dones, 2);
    close(a);
    assert_hears(c, "hello");
    close(b), close(c);
    stop();
}

static bool has_no_memory(size_t bytes)
{
    return false;
}

Test(http_server, a_connection_that_would_use_up_the_memory_reserve_gets_503_and_its_request_is_not_read)
{
    bool (*kernel)(size_t) = memory_probe;
    start();
    int kept = client();
    say(kept, "GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(kept, "hello");
    memory_probe = has_no_memory;
    int refused = client();
    say(refused, "GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(refused, "\"status\":503,\"detail\":\"the service has reached its memory limit");
    assert_hears_end(refused);
    TURN_UNTIL(server->connection_count == 1);
    cr_assert_eq(saw.dones, 1);
    say(kept, "GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(kept, "hello");
    memory_probe = kernel;
    int another = client();
    say(another, "GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(another, "hello");
    close(kept), close(refused), close(another);
    stop();
}

Test(http_server, idle_connections_make_room_while_memory_is_short)
{
    start_with((struct http_server_options){.header_timeout_ms = 100, .keepalive_timeout_ms = 100000});
    int idle = client();
    say(idle, "GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(idle, "hello");
    memory_probe = has_no_memory;
    int refused = client();
    assert_hears(refused, "\"status\":503");
    assert_hears_end(idle);
    close(idle), close(refused);
    stop();
}

Test(http_server, a_taken_port_is_a_sentence)
{
    char err[200];
    start();
    struct http_server_options o = {.port = http_server_port(server), .routes = routes};
    cr_assert_null(http_server_start(&loop, &o, err, sizeof err));
    cr_assert(strstr(err, "cannot listen on 127.0.0.1:") && strstr(err, "in use"), "%s", err);
    o.host = "nonsense";
    cr_assert_null(http_server_start(&loop, &o, err, sizeof err));
    cr_assert(strstr(err, "numeric"), "%s", err);
    stop();
}

/* The functions and tests below use a socket file, in a directory that only this test uses. */

static char socket_dir[64], socket_host[128];

static void start_on_file(void)
{
    if (!socket_dir[0]) {
        snprintf(socket_dir, sizeof socket_dir, "/tmp/fantail-server-XXXXXX");
        cr_assert(mkdtemp(socket_dir));
        snprintf(socket_host, sizeof socket_host, "unix:%s/s", socket_dir);
    }
    start_with((struct http_server_options){.host = socket_host});
}

static void stop_on_file(void)
{
    stop();
    cr_assert_eq(access(listens_at, F_OK), -1, "the file is gone");
    cr_assert_eq(rmdir(socket_dir), 0);
}

Test(http_server, serves_on_a_file_as_on_a_port)
{
    enum { LEN = 3 * MIB };
    start_on_file();
    static char body[LEN];
    memset(body, 'b', LEN);
    int fd = client();
    say(fd, "POST /count HTTP/1.1\r\n" HOST "Content-Length: 3145728\r\n\r\n");
    say_bytes(fd, body, LEN);
    assert_hears(fd, "3145728");
    close(fd);
    assert_exchange("GET /v1/echo/a HTTP/1.1\r\n" HOST "\r\n", "200", "name=a");
    assert_exchange("POST /early HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", "422", "no thanks");
    stop_on_file();
}

/* Sends a request that the route answers later. The library suspends the connection until the route answers, and then
 * adds the socket to its epoll set again. */
static void ask_and_wait(int fd)
{
    unsigned before = saw.ends;
    say(fd, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi");
    TURN_UNTIL(saw.ends == before + 1);
    for (int i = 0; i < 10; i++) turn();
    http_answer(saw.held, 200, "text/plain", "late", 4);
    TURN_UNTIL(!saw.held);
    for (int i = 0; i < 10; i++) turn();
}

Test(http_server, a_client_on_a_file_that_reads_its_answer_does_not_wake_the_server)
{
    start_on_file();
    int fd = client();
    for (int i = 0; i < 3; i++) {
        ask_and_wait(fd);
        uint64_t before = server->turn;
        assert_hears(fd, "late");
        for (int turns = 0; turns < 10; turns++) turn();
        cr_assert_eq(server->turn, before, "%llu turns", (unsigned long long)(server->turn - before));
    }
    close(fd);
    stop_on_file();
}

/* The answers of this test are too long for the buffer of the socket. After the first answer, the library no longer
 * watches whether the socket is writable. */
Test(http_server, a_long_answer_on_a_file_goes_on_when_its_client_reads_on)
{
    enum { LEN = 4 * MIB };
    start_on_file();
    int fd = client();
    for (int i = 0; i < 3; i++) {
        ask_and_wait(fd);
        assert_hears(fd, "late");
        saw.whole_bytes = i == 1 ? 0 : LEN;
        saw.pull_room = i == 1 ? LEN : 0;
        saw.pull_ends = true;
        say(fd, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
        for (int turns = 0; turns < 50; turns++) turn();
        assert_hears(fd, i == 1 ? "\r\n0\r\n\r\n" : "wwwwwww");
        if (i == 1) continue;
        for (size_t got = 0; got < LEN - 65536;) {
            char piece[65536];
            ssize_t n = recv(fd, piece, sizeof piece, 0);
            if (n > 0) got += (size_t)n;
            turn();
        }
        TURN_UNTIL(saw.closes == 2 * (unsigned)i + 2);
        char rest[65536];
        while (recv(fd, rest, sizeof rest, 0) > 0) {
        }
    }
    close(fd);
    stop_on_file();
}

Test(http_server, a_client_on_a_file_that_leaves_is_noticed_and_one_that_only_listens_is_not)
{
    start_on_file();
    for (int leaves = 0; leaves < 2; leaves++) {
        int fd = client();
        unsigned before = saw.closes;
        say(fd, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi");
        TURN_UNTIL(saw.held && saw.ends == (unsigned)leaves + 1);
        if (leaves) {
            close(fd);
            TURN_UNTIL(saw.closes == before + 1);
            cr_assert_eq(saw.how, HTTP_CLOSED_HANG_UP);
            continue;
        }
        shutdown(fd, SHUT_WR);
        for (int i = 0; i < 50; i++) turn();
        cr_assert_eq(saw.closes, before, "the client only shut down its sending side");
        http_answer(saw.held, 200, "text/plain", "late", 4);
        assert_hears(fd, "late");
        close(fd);
        TURN_UNTIL(saw.closes == before + 1);
        cr_assert_eq(saw.how, HTTP_CLOSED_DONE);
    }
    stop_on_file();
}

Test(http_server, a_file_that_a_killed_process_left_is_replaced_and_any_other_is_not)
{
    char err[300], path[200];
    start_on_file();
    stop();
    snprintf(path, sizeof path, "%s", listens_at);
    struct sockaddr_un address;
    socklen_t len = unix_address_fill(&address, path);
    int killed = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(killed, (struct sockaddr *)&address, len), 0);
    close(killed);
    start_on_file();
    struct http_server_options second = {.host = socket_host, .routes = routes};
    cr_assert_null(http_server_start(&loop, &second, err, sizeof err), "another server uses the file");
    cr_assert(strstr(err, path) && strstr(err, "in use"), "%s", err);
    assert_exchange("GET / HTTP/1.1\r\n" HOST "\r\n", "200", "hello");
    stop();
    int file = open(path, O_CREAT | O_WRONLY, 0600);
    close(file);
    cr_assert_null(http_server_start(&loop, &second, err, sizeof err),
                   "the path is that of a file that is not a socket");
    cr_assert_eq(access(path, F_OK), 0, "the server must not remove this file");
    unlink(path);
    rmdir(socket_dir);
}

Test(http_server, a_path_that_no_socket_can_have_is_told)
{
    static const char *const hosts[] = {"unix:",
                                        "unix:/x/"
                                        "0123456789012345678901234567890123456789012345678901234567890123456789"
                                        "0123456789012345678901234567890123456789"};
    char err[300];
    uv_loop_init(&loop);
    for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
        struct http_server_options options = {.host = hosts[i], .routes = routes};
        cr_assert_null(http_server_start(&loop, &options, err, sizeof err));
        cr_assert(strstr(err, "cannot listen"), "%s", err);
    }
    uv_loop_close(&loop);
}

Test(http_server, a_drained_server_takes_its_file_away_and_serves_who_is_there)
{
    start_on_file();
    int fd = client(), waits = client();
    say(fd, "GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(fd, "hello");
    http_server_drain(server);
    say(waits, "GET / HTTP/1.1\r\n" HOST "\r\n");
    TURN_UNTIL(http_server_stop_listening(server));
    cr_assert_eq(access(listens_at, F_OK), -1);
    assert_hears(waits, "hello");
    close(fd);
    close(waits);
    stop_on_file();
}
