/*
 * bare_pool WORKERS sleep ITEMS SECONDS | bare_pool WORKERS primes SPANS STOP: a pool of forked processes, each of
 * which gets one item after another over a socket pair. The pool does only what any pool must do for an item. The time
 * to start the processes is not measured.
 */
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

/* The work is done by the code of the example task itself. */
#include "../examples/tasks/primes/primes.c" // NOLINT(bugprone-suspicious-include)

struct work {
    bool primes;
    long items, stop;
    double seconds;
};

static int64_t work_on(const struct work *w, int64_t item)
{
    if (w->primes) return count_primes(w->stop * item / w->items, w->stop * (item + 1) / w->items);
    struct timespec pause = {.tv_sec = (time_t)w->seconds};
    pause.tv_nsec = (long)((w->seconds - (double)pause.tv_sec) * 1e9);
    nanosleep(&pause, NULL);
    return 1;
}

static int start_worker(const struct work *w)
{
    int fds[2];
    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0, "socketpair");
    pid_t pid = fork();
    check(pid >= 0, "fork");
    if (pid > 0) {
        close(fds[1]);
        return fds[0];
    }
    close(fds[0]);
    for (int64_t item; read(fds[1], &item, sizeof item) == sizeof item;) {
        int64_t result = work_on(w, item);
        check(write(fds[1], &result, sizeof result) == sizeof result, "write");
    }
    _exit(0);
}

static void give(int fd, int64_t item)
{
    check(write(fd, &item, sizeof item) == sizeof item, "write");
}

static int64_t run_all(struct pollfd *fds, nfds_t workers, long items)
{
    int64_t sum = 0, result;
    long given = 0, done = 0;
    for (nfds_t i = 0; i < workers && given < items; i++) give(fds[i].fd, given++);
    while (done < items) {
        check(poll(fds, workers, -1) > 0, "poll");
        for (nfds_t i = 0; i < workers; i++) {
            if (!fds[i].revents) continue;
            check(read(fds[i].fd, &result, sizeof result) == sizeof result, "a worker is gone");
            sum += result;
            done++;
            if (given < items) give(fds[i].fd, given++);
        }
    }
    return sum;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fputs("usage: bare_pool WORKERS sleep ITEMS SECONDS | bare_pool WORKERS primes SPANS STOP\n", stderr);
        return 2;
    }
    struct work w = {.primes = strcmp(argv[2], "primes") == 0, .items = parse_count(argv[3])};
    if (w.primes)
        w.stop = parse_count(argv[4]);
    else
        w.seconds = strtod(argv[4], NULL);
    nfds_t workers = (nfds_t)parse_count(argv[1]);
    struct pollfd *fds = xcalloc(workers, sizeof *fds);
    for (nfds_t i = 0; i < workers; i++) fds[i] = (struct pollfd){.fd = start_worker(&w), .events = POLLIN};
    uint64_t start = now_ns();
    int64_t sum = run_all(fds, workers, w.items);
    printf("{\"seconds\":%.4f,\"sum\":%lld}\n", seconds_since(start), (long long)sum);
    for (nfds_t i = 0; i < workers; i++) close(fds[i].fd);
    free(fds);
    while (wait(NULL) > 0) continue;
    return 0;
}
