/*
 * One service as a child process: started with a pipe on which it says "ready PORT ADMIN_PORT", watched, ended.
 * Knows nothing of fleets. The caller reaps (waitpid) and tells child_service_ended().
 */
#ifndef FANTAIL_CLI_FLEET_CHILD_SERVICE_H
#define FANTAIL_CLI_FLEET_CHILD_SERVICE_H

#include <sys/types.h>

#include "common/base/base.h"

enum child_state { CHILD_DOWN, CHILD_STARTING, CHILD_READY };

struct child_service {
    enum child_state state;
    pid_t pid;       /* 0: none */
    int ready_fd;    /* our end of the pipe; -1: none */
    int reserved_fd; /* holds `port` while no process listens there; -1: none */
    uint16_t port;   /* where it listens, or will */
    uint64_t started_ns;
    char line[64]; /* what has come of the ready line */
    size_t line_len;
};

/* A number for --ready-fd that the child finds its pipe under. */
#define CHILD_READY_FD 3

/* Reserves a free port of 127.0.0.1 for the service. False, with errno, when there is none. */
MUST_CHECK bool child_service_reserve_port(struct child_service *s);
/* Somebody listens there on this machine. */
bool child_service_port_is_taken(uint16_t port);
/* Starts argv[0]. 0, or an errno. */
MUST_CHECK int child_service_start(struct child_service *s, char *const argv[], char *const envp[], uint64_t now);
/* Reads the ready pipe. True when the service has just become ready. */
bool child_service_read(struct child_service *s);
/* The child was reaped. */
void child_service_ended(struct child_service *s);
/* Drops the port and the pipe; the child is not touched. */
void child_service_release(struct child_service *s);

#endif
