/*
 * One service as a child process. The service inherits a pipe. When the service is ready, it writes "ready PORT
 * ADMIN_PORT" to the pipe. This module knows nothing about fleets. The caller reaps the process (waitpid) and then
 * calls child_service_ended().
 *
 *   DOWN ---- child_service_start() ----> STARTING ---- the ready line ----> READY
 *     ^                                      |                                 |
 *     +-------- child_service_ended() -------+---------------------------------+
 */
#ifndef FANTAIL_CLI_FLEET_CHILD_SERVICE_H
#define FANTAIL_CLI_FLEET_CHILD_SERVICE_H

#include <sys/types.h>

#include "common/base/base.h"

enum child_state { CHILD_DOWN, CHILD_STARTING, CHILD_READY, CHILD_STATE_COUNT };

struct child_service {
    enum child_state state;
    pid_t pid;       /* 0: none */
    int ready_fd;    /* our end of the pipe; -1: none */
    int stderr_fd;   /* becomes standard error of the process; -1: the process inherits ours. Borrowed */
    int reserved_fd; /* keeps `port` reserved; -1: none */
    uint16_t port;   /* the port on which the service listens or will listen; 0: none */
    uint64_t started_ns;
    char line[64]; /* the received part of the ready line */
    size_t line_len;
};

/* The descriptor number of the child's end of the pipe, and the value of --ready-fd. */
#define CHILD_READY_FD 3

void child_service_init(struct child_service *s);
/* Closes the pipe and releases the port. Does not touch the process. */
void child_service_release(struct child_service *s);

/* Reserves a free port on 127.0.0.1 for the service. On failure it returns false and sets errno. */
MUST_CHECK bool child_service_reserve_port(struct child_service *s);
/* Starts argv[0]. Returns 0 or an errno. */
MUST_CHECK int child_service_start(struct child_service *s, char *const argv[], char *const envp[], uint64_t now);
/* Reads the ready pipe without blocking. Returns true if the service has just become ready. */
bool child_service_read(struct child_service *s);
/* Call this after the process has been reaped. */
void child_service_ended(struct child_service *s);

#endif
