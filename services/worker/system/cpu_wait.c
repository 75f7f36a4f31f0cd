#include "worker/system/cpu_wait.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define READ_LEAST_NS NS_PER_MS /* least time between two reads of the file; a read takes about a microsecond */

void cpu_wait_init(struct cpu_wait *c, pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/schedstat", (long)(pid ? pid : getpid()));
    *c = (struct cpu_wait){.fd_plus_1 = open(path, O_RDONLY | O_CLOEXEC) + 1};
}

void cpu_wait_release(struct cpu_wait *c)
{
    if (c->fd_plus_1) close(c->fd_plus_1 - 1);
    *c = (struct cpu_wait){0};
}

void cpu_wait_read(struct cpu_wait *c, uint64_t now_ns)
{
    char text[96], *end;
    if (!c->fd_plus_1 || now_ns < c->read_at_ns + READ_LEAST_NS) return;
    c->read_at_ns = now_ns;
    ssize_t n = pread(c->fd_plus_1 - 1, text, sizeof text - 1, 0);
    if (n <= 0) return; /* the process has ended */
    text[n] = '\0';
    c->ran_ns = strtoull(text, &end, 10);
    c->waited_ns = strtoull(end, NULL, 10);
}

void cpu_wait_sleeps(struct cpu_wait *c, uint64_t now_ns)
{
    cpu_wait_read(c, now_ns);
    c->waited_before_ns = c->waited_slept_ns;
    c->waited_slept_ns = c->waited_ns;
}
