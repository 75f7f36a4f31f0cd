#include "worker/system/cpu_wait.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SMALL_SHARE 8 /* a process that waits for less than this part of the time hardly waits */
#define LONG_AGO_NS (4 * CPU_WAIT_PAUSE_NS)

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
    if (!c->fd_plus_1 || now_ns < c->read_at_ns + CPU_WAIT_LEAST_NS) return;
    c->read_at_ns = now_ns;
    ssize_t n = pread(c->fd_plus_1 - 1, text, sizeof text - 1, 0);
    if (n <= 0) return; /* the process has ended */
    text[n] = '\0';
    c->ran_ns = strtoull(text, &end, 10);
    c->waited_ns = strtoull(end, NULL, 10);
}

uint64_t cpu_wait_next_pause(uint64_t pause_ns, uint64_t passed_ns, uint64_t waited_ns)
{
    if (passed_ns > LONG_AGO_NS || waited_ns > passed_ns / SMALL_SHARE) return CPU_WAIT_LEAST_NS;
    if (pause_ns < CPU_WAIT_LEAST_NS) pause_ns = CPU_WAIT_LEAST_NS;
    return 2 * pause_ns < CPU_WAIT_PAUSE_NS ? 2 * pause_ns : CPU_WAIT_PAUSE_NS;
}

void cpu_wait_look(struct cpu_wait *c, uint64_t now_ns)
{
    uint64_t before_ns = c->read_at_ns, waited_ns = c->waited_ns;
    if (now_ns < before_ns + c->pause_ns) return;
    cpu_wait_read(c, now_ns);
    if (c->read_at_ns == before_ns) return;
    c->pause_ns = cpu_wait_next_pause(c->pause_ns, now_ns - before_ns, c->waited_ns - waited_ns);
}

void cpu_wait_sleeps(struct cpu_wait *c, uint64_t now_ns)
{
    cpu_wait_read(c, now_ns);
    c->waited_before_ns = c->waited_slept_ns;
    c->waited_slept_ns = c->waited_ns;
}
