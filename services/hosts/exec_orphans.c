#include "hosts/exec_orphans.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LIST_BYTES = 16 * 1024 };

void exec_orphans_adopt(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1);
}

/* Reaps the children that have ended. Returns true if there are other children. */
static bool reap_ended(void)
{
    pid_t pid;
    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) continue;
    return pid == 0;
}

/* Sends SIGKILL to the children that the kernel lists. If the list is too long for the buffer, the rest of the list is
 * read in the next round. Returns how many children were killed. */
static unsigned kill_children(void)
{
    char path[64], list[LIST_BYTES];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t len = read(fd, list, sizeof list - 1);
    close(fd);
    if (len <= 0) return 0;
    list[len] = '\0';
    unsigned killed = 0;
    /* The kernel writes a space after each number, so a number without a space after it is incomplete. */
    for (char *at = list, *end; *at; at = end + 1) {
        long pid = strtol(at, &end, 10);
        if (end == at || *end != ' ') break;
        if (kill((pid_t)pid, SIGKILL) == 0) killed++;
    }
    return killed;
}

void exec_orphans_kill(void)
{
    /* When a child dies, its own children become ours, so one round is not always enough. */
    while (reap_ended() && kill_children() > 0)
        while (waitpid(-1, NULL, 0) < 0 && errno == EINTR) continue;
}
