/* The reader that leaves later lines in the socket. */
#include <criterion/criterion.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hosts/line_io.h"
#include "unit/leaks.h"

static int waiting_bytes(int fd)
{
    int n = -1;
    cr_assert_eq(ioctl(fd, FIONREAD, &n), 0);
    return n;
}

static void write_text(int fd, const char *text)
{
    cr_assert(write_all(fd, text, strlen(text)));
}

static void expect_line(struct line_reader *r, int fd, const char *expected)
{
    char *line;
    size_t len;
    while (!line_reader_next(r, &line, &len)) cr_assert(line_reader_fill_line(r, fd));
    cr_assert_str_eq(line, expected);
    cr_assert_eq(len, strlen(expected));
}

/* Closes the writing end, fds[1], and checks that the reader sees the end. */
static void expect_end(struct line_reader *r, const int fds[2])
{
    close(fds[1]);
    cr_assert_not(line_reader_fill_line(r, fds[0]));
    close(fds[0]);
    line_reader_release(r);
    assert_no_leaks();
}

Test(line_io, only_the_first_line_is_read)
{
    struct line_reader r = {0};
    int fds[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    write_text(fds[1], "one\ntwo\nthr");
    expect_line(&r, fds[0], "one");
    cr_assert_eq(waiting_bytes(fds[0]), 7);
    expect_line(&r, fds[0], "two");
    cr_assert(line_reader_fill_line(&r, fds[0]));
    write_text(fds[1], "ee\nfour\n");
    expect_line(&r, fds[0], "three");
    cr_assert_eq(waiting_bytes(fds[0]), 5);
    expect_line(&r, fds[0], "four");
    expect_end(&r, fds);
}

Test(line_io, lines_are_read_from_a_pipe_too)
{
    struct line_reader r = {0};
    int fds[2];
    cr_assert_eq(pipe(fds), 0);
    write_text(fds[1], "one\ntwo\n");
    expect_line(&r, fds[0], "one");
    expect_line(&r, fds[0], "two");
    expect_end(&r, fds);
}
