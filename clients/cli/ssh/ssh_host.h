/*
 * The worker of one host: a child process `ssh` that starts the worker there and forwards a socket file to it
 * (ssh_command.h).
 *
 *     DOWN --ssh_host_start()--> STARTING --the worker's ready line--> CHECKING --the worker answers--> READY
 *      ^                            |                                     |                               |
 *      +--- ssh_host_ended() -------+-------------------------------------+-------------------------------+
 *
 * ssh listens on its socket file before the worker runs, and accepts connections even if the host refuses to forward
 * them. A chunk that is sent on such a connection counts as lost with its worker. So ssh makes its file under another
 * name. When the host becomes READY, this program renames the file to the name that the coordinator knows.
 *
 * While the network is cut, the end of the tunnel on this machine stays open. The coordinator treats the worker like
 * any other worker that is silent. ssh notices within 8 s that the host is silent, and ends. All connections through
 * the tunnel then break at once.
 */
#ifndef FANTAIL_CLI_SSH_SSH_HOST_H
#define FANTAIL_CLI_SSH_SSH_HOST_H

#include <poll.h>
#include <sys/types.h>

#include "cli/report/relay.h"
#include "cli/ssh/ssh_command.h"

enum ssh_host_state { SSH_HOST_DOWN, SSH_HOST_STARTING, SSH_HOST_CHECKING, SSH_HOST_READY, SSH_HOST_STATE_COUNT };

struct ssh_host {
    const struct ssh_target *target; /* borrowed */
    enum ssh_host_state state;
    pid_t pid;        /* 0: none */
    int beat_fd;      /* standard input of ssh; -1: none */
    int ready_fd;     /* standard output of ssh, with the ready line */
    int stderr_fd;    /* standard error of ssh, of the worker and of its tasks */
    int check_fd;     /* in CHECKING: a connection to the worker */
    char *socket;     /* the socket file that the coordinator knows */
    char *new_socket; /* the name under which ssh makes it */
    char answer[8];   /* in CHECKING: the beginning of the worker's answer */
    size_t answer_len;
    struct buf line;    /* the unfinished line of ready_fd */
    struct buf said;    /* what ssh and the host said before READY: it explains a failure */
    struct relay relay; /* passes on what they say in READY */
    char *prefix;       /* "HOST: " */
    char failure[320];  /* why the host could not be used the last time; "": it never failed */
    bool was_ready, has_failed;
    const char *ended_for; /* why this program has ended ssh; NULL: it has not */
    uint64_t started_ns, beat_ns, restart_ns, pause_ms;
};

/* The standard output and the standard error of ssh, and the connection of CHECKING. */
#define SSH_HOST_POLL_FDS 3

/* Takes ownership of `socket` and `new_socket`, which free() must be able to free. */
void ssh_host_init(struct ssh_host *h, const struct ssh_target *target, char *socket, char *new_socket);
/* Does not end the process. Call it only after ssh_host_init(). */
void ssh_host_release(struct ssh_host *h);

/* Starts ssh. If ssh cannot be started, this counts as a failure of the host. */
void ssh_host_start(struct ssh_host *h, char *const argv[], char *const envp[], uint64_t now_ns);
/* Returns when ssh_host_turn() must be called at the latest. In the state DOWN: when the host must be started again. */
uint64_t ssh_host_due_ns(const struct ssh_host *h);
/* Writes at most SSH_HOST_POLL_FDS entries. Returns how many. */
size_t ssh_host_poll_fds(const struct ssh_host *h, struct pollfd *fds);
/* Reads what has arrived, without blocking, and writes the byte that is due. */
void ssh_host_turn(struct ssh_host *h, uint64_t now_ns);
/* Call this after the process has been reaped. With `is_told`, tells the user why it has ended. */
void ssh_host_ended(struct ssh_host *h, int status, bool is_told, uint64_t now_ns);
/* Closes the worker's standard input, which makes the worker drain. ssh ends when the worker has ended. If the worker
 * is still STARTING, ends ssh immediately. */
void ssh_host_stop(struct ssh_host *h);

#endif
