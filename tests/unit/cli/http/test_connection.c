/* Tests a connection. The test itself is the peer, and writes the answers in pieces. */
#include <criterion/criterion.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/http/connection.h"

struct peer {
    char dir[32], url[128];
    int listener, fd;
    struct target target;
    struct connection c;
};

static void setup(struct peer *p)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char err[256];
    *p = (struct peer){.dir = "/tmp/fantail-test-XXXXXX", .fd = -1};
    cr_assert(mkdtemp(p->dir));
    snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", p->dir);
    snprintf(p->url, sizeof p->url, "unix:%s", address.sun_path);
    p->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(p->listener, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(p->listener, 8), 0);
    cr_assert(target_init(&p->target, &(struct target_config){.url = p->url}, err, sizeof err), "%s", err);
    connection_init(&p->c, &p->target);
}

static void teardown(struct peer *p)
{
    connection_release(&p->c);
    target_release(&p->target);
    if (p->fd >= 0) close(p->fd);
    close(p->listener);
    unlink(p->url + strlen("unix:"));
    rmdir(p->dir);
}

/* Sends a request, and lets the peer accept the connection. */
static void begin(struct peer *p)
{
    connection_request(&p->c, "GET", "/v1/tasks", "", NULL, 0);
    if (p->fd < 0) p->fd = accept(p->listener, NULL, NULL);
    cr_assert(p->fd >= 0);
}

static void answer(struct peer *p, const char *bytes, size_t len)
{
    cr_assert_eq(send(p->fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
    connection_step(&p->c);
}

static void assert_body(const struct peer *p, const char *wanted)
{
    cr_assert_eq(p->c.state, CONNECTION_DONE, "%d: %s", p->c.state, p->c.error);
    cr_assert_eq(p->c.answer.len, strlen(wanted));
    cr_assert_arr_eq(p->c.answer.data, wanted, strlen(wanted));
}

static const char chunked[] = "HTTP/1.1 100 Continue\r\n\r\n"
                              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/plain\r\n\r\n"
                              "5\r\nabcde\r\n1;x=y\r\nf\r\n10\r\n0123456789ABCDEF\r\n0\r\nTrailer: x\r\n\r\n";

Test(connection, a_chunked_answer_reads_the_same_wherever_it_is_cut)
{
    const size_t len = sizeof chunked - 1;
    for (size_t at = 1; at < len; at++) {
        struct peer p;
        setup(&p);
        begin(&p);
        answer(&p, chunked, at);
        answer(&p, chunked + at, len - at);
        while (p.c.state == CONNECTION_READING) connection_step(&p.c);
        assert_body(&p, "abcdef0123456789ABCDEF");
        cr_assert_eq(p.c.status, 200);
        cr_assert_str_eq(p.c.content_type, "text/plain");
        teardown(&p);
    }
}

Test(connection, is_kept_for_the_next_request)
{
    struct peer p;
    setup(&p);
    for (int i = 0; i < 3; i++) {
        static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        begin(&p);
        answer(&p, ok, sizeof ok - 1);
        assert_body(&p, "ok");
    }
    struct pollfd second = {.fd = p.listener, .events = POLLIN};
    cr_assert_eq(poll(&second, 1, 0), 0, "a second connection was made");
    teardown(&p);
}

Test(connection, is_made_anew_when_the_service_has_closed_it)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    struct peer p;
    setup(&p);
    begin(&p);
    answer(&p, ok, sizeof ok - 1);
    close(p.fd);
    p.fd = -1;
    begin(&p);
    answer(&p, ok, sizeof ok - 1);
    assert_body(&p, "ok");
    teardown(&p);
}

Test(connection, a_close_ends_an_answer_without_a_length_only)
{
    static const char endless[] = "HTTP/1.0 200 OK\r\n\r\nbody",
                      cut[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbody";
    struct peer p;
    for (int i = 0; i < 2; i++) {
        setup(&p);
        begin(&p);
        answer(&p, i ? cut : endless, i ? sizeof cut - 1 : sizeof endless - 1);
        shutdown(p.fd, SHUT_RDWR);
        while (p.c.state == CONNECTION_READING) connection_step(&p.c);
        if (i == 0) assert_body(&p, "body");
        if (i == 1) cr_assert_eq(p.c.state, CONNECTION_BROKEN);
        if (i == 1) cr_assert(strstr(p.c.error, "closed"), "%s", p.c.error);
        teardown(&p);
    }
}

Test(connection, what_is_not_http_breaks_it)
{
    static const char *const answers[] = {"SSH-2.0-OpenSSH_9.6\r\n\r\n", "SSH-2.0-OpenSSH_9.6\r\n",
                                          "HTTP/1.1 xyz\r\n\r\n",
                                          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"};
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        struct peer p;
        setup(&p);
        begin(&p);
        answer(&p, answers[i], strlen(answers[i]));
        cr_assert_eq(p.c.state, CONNECTION_BROKEN, "%s", answers[i]);
        cr_assert(strstr(p.c.error, "HTTP/1.1"), "%s", p.c.error);
        teardown(&p);
    }
}

Test(connection, a_service_that_stays_silent_is_given_up)
{
    struct peer p;
    setup(&p);
    begin(&p);
    cr_assert_not(connection_run(&p.c, 10));
    cr_assert_eq(p.c.state, CONNECTION_BROKEN);
    cr_assert(strstr(p.c.error, "nothing came from"), "%s", p.c.error);
    teardown(&p);
}

Test(connection, a_media_type_is_compared_without_its_parameters)
{
    static const struct {
        const char *type;
        bool is_json;
    } rows[] = {{"application/json", true},
                {"Application/JSON; charset=utf-8", true},
                {"application/json5", false},
                {"", false}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct connection c = {0};
        snprintf(c.content_type, sizeof(c.content_type), "%s", rows[i].type);
        cr_assert_eq(connection_has_type(&c, "application/json"), rows[i].is_json, "%s", rows[i].type);
    }
}

/* Sends the three pieces, and checks that the sent bytes contain `wanted`. */
static void expect_upload(const char *const pieces[3], int64_t length, const char *wanted)
{
    struct peer p;
    char sent[1024];
    setup(&p);
    connection_upload(&p.c, "POST", "/v1/jobs", "", length);
    p.fd = accept(p.listener, NULL, NULL);
    for (size_t i = 0; i < 3; i++) {
        connection_step(&p.c);
        cr_assert(connection_wants_piece(&p.c));
        connection_give_piece(&p.c, pieces[i], strlen(pieces[i]));
    }
    connection_step(&p.c);
    cr_assert_not(connection_wants_piece(&p.c));
    ssize_t n = recv(p.fd, sent, sizeof sent - 1, 0);
    cr_assert(n > 0);
    sent[n] = '\0';
    cr_assert(strstr(sent, wanted), "%s", sent);
    teardown(&p);
}

Test(connection, a_body_given_in_pieces_is_sent_chunked)
{
    static const char *const pieces[] = {"one\n", "two\nthree\n", ""};
    expect_upload(pieces, -1, "\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\na\r\ntwo\nthree\n\r\n0\r\n\r\n");
}

Test(connection, a_body_of_known_length_is_sent_as_it_is_and_what_is_beyond_is_left_out)
{
    static const char *const pieces[] = {"one\n", "two\n", "three\nfour\n"};
    expect_upload(pieces, 14, "\r\nContent-Length: 14\r\n\r\none\ntwo\nthree\n");
}
