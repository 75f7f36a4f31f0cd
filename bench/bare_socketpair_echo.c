/*
 * bare_socketpair_echo ITEMS BYTES: sends items over a Unix socket pair to a child that sends them back. As many items
 * are in flight as the socket buffers hold. The program does only what is needed to move data to a process and back.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

/* Runs in the child: reads one complete item, then writes it back, as a task does. */
static void echo(int fd, size_t bytes)
{
    char *item = xmalloc(bytes);
    for (;;) {
        for (size_t at = 0; at < bytes;) {
            ssize_t n = read(fd, item + at, bytes - at);
            if (n <= 0) _exit(0);
            at += (size_t)n;
        }
        for (size_t at = 0; at < bytes;) {
            ssize_t n = write(fd, item + at, bytes - at);
            check(n > 0, "write");
            at += (size_t)n;
        }
    }
}

static void send_and_receive(int fd, long items, size_t bytes)
{
    char *out = xmalloc(bytes), *in = xmalloc(bytes);
    size_t total = (size_t)items * bytes, sent = 0, received = 0;
    memset(out, 'x', bytes);
    while (received < total) {
        struct pollfd p = {.fd = fd, .events = (short)(POLLIN | (sent < total ? POLLOUT : 0))};
        check(poll(&p, 1, -1) > 0, "poll");
        if (p.revents & POLLOUT) {
            size_t at = sent % bytes;
            ssize_t n = write(fd, out + at, bytes - at);
            check(n > 0 || errno == EAGAIN, "write");
            if (n > 0) sent += (size_t)n;
        }
        if (p.revents & POLLIN) {
            ssize_t n = read(fd, in, bytes);
            check(n > 0 || (n < 0 && errno == EAGAIN), "read");
            if (n > 0) received += (size_t)n;
        }
    }
    free(out);
    free(in);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: bare_socketpair_echo ITEMS BYTES\n", stderr);
        return 2;
    }
    long items = parse_count(argv[1]);
    size_t bytes = (size_t)parse_count(argv[2]);
    int fds[2];
    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0, "socketpair");
    pid_t pid = fork();
    check(pid >= 0, "fork");
    if (pid == 0) {
        close(fds[0]);
        echo(fds[1], bytes);
    }
    close(fds[1]);
    check(fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0, "O_NONBLOCK");
    uint64_t start = now_ns();
    send_and_receive(fds[0], items, bytes);
    double seconds = seconds_since(start);
    close(fds[0]);
    waitpid(pid, NULL, 0);
    printf("{\"seconds\":%.4f,\"mb_per_second\":%.0f}\n", seconds, (double)items * (double)bytes / 1e6 / seconds);
    return 0;
}
