#include "common/loop/parent.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

bool parent_tie(pid_t parent, char *err, size_t err_size)
{
    if (parent == 0) parent = getppid();
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0) {
        snprintf(err, err_size, "cannot ask the kernel to send a signal when the parent ends: %s", strerror(errno));
        return false;
    }
    if (getppid() == parent) return true;
    snprintf(err, err_size, "the parent ended while this process was starting");
    return false;
}
