#include "worker/system/descendants.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/observe/log.h"

/* Reads a small file of /proc. Returns the number of bytes read; 0 if the file cannot be read. */
static size_t read_proc(const char *path, char *dst, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    size_t len = 0;
    ssize_t n;
    while (len < size - 1 && (n = read(fd, dst + len, size - 1 - len)) > 0) len += (size_t)n;
    close(fd);
    dst[len] = '\0';
    return len;
}

/* Returns the token in the environment with which the process was started; 0 if this environment has no token of this
 * worker. */
static uint64_t token_of(pid_t pid)
{
    static char env[64 * 1024];
    char path[64], want[64];
    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    int want_len = snprintf(want, sizeof want, "FANTAIL_PROCESS=%d-", (int)getpid());
    size_t len = read_proc(path, env, sizeof env);
    for (char *at = env; at < env + len; at += strlen(at) + 1)
        if (strncmp(at, want, (size_t)want_len) == 0) return strtoull(at + want_len, NULL, 10);
    return 0;
}

/* The kernel's list contains both the children that we started and the adopted children. */
void descendants_kill(descendant_may_live *may_live, void *data)
{
    static char list[64 * 1024];
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    size_t len = read_proc(path, list, sizeof list);
    for (char *at = list, *end; at < list + len; at = end) {
        pid_t pid = (pid_t)strtol(at, &end, 10);
        if (end == at) break;
        if (may_live(data, pid, 0)) continue;
        uint64_t token = token_of(pid);
        if (token && may_live(data, pid, token)) continue;
        if (kill(pid, SIGKILL) == 0)
            log_warn("killed a process that a task left behind", LOG_I64("pid", pid), LOG_U64("process", token));
    }
}
