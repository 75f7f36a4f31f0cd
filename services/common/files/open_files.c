#include "common/files/open_files.h"

#include <sys/resource.h>

#define FOR_THE_PROGRAM   64 /* descriptors that a service needs besides its connections */
#define CONNECTIONS_LEAST 16

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
