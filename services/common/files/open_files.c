#include "common/files/open_files.h"

#include <sys/resource.h>

#define FOR_THE_PROGRAM   64 /* descriptors that a service needs besides its connections */
#define CONNECTIONS_LEAST 16

static_assert(OPEN_FILES_LEAST == FOR_THE_PROGRAM + CONNECTIONS_LEAST, "enough for the program and its connections");

static struct rlimit before; /* rlim_max is 0 until the limit is raised */

uint64_t open_files_raise(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    struct rlimit raised = {limit.rlim_max, limit.rlim_max};
    if (limit.rlim_cur == limit.rlim_max || setrlimit(RLIMIT_NOFILE, &raised) != 0) return limit.rlim_cur;
    before = limit;
    return raised.rlim_cur;
}

bool open_files_suffice(char *err, size_t err_size)
{
    uint64_t limit = open_files_raise();
    if (limit == 0 || limit >= OPEN_FILES_LEAST) return true;
    snprintf(err, err_size, "the limit on open files is %llu, and a service needs at least %d; raise it (ulimit -n)",
             (unsigned long long)limit, OPEN_FILES_LEAST);
    return false;
}

void open_files_restore(void)
{
    if (before.rlim_max) setrlimit(RLIMIT_NOFILE, &before);
}

unsigned open_files_connections(uint64_t limit, unsigned wanted)
{
    uint64_t fit = limit / 4 * 3;
    fit = fit > FOR_THE_PROGRAM + CONNECTIONS_LEAST ? fit - FOR_THE_PROGRAM : CONNECTIONS_LEAST;
    return fit < wanted ? (unsigned)fit : wanted;
}
