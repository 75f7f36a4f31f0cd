/*
 * The hosts of a fleet: starts a worker on each of them through ssh, and starts it again after a pause when it has
 * ended or its connection is lost. A host that cannot be used does not stop the others. The owner reaps the processes.
 */
#ifndef FANTAIL_CLI_SSH_SSH_HOSTS_H
#define FANTAIL_CLI_SSH_SSH_HOSTS_H

#include "cli/ssh/ssh_host.h"

struct ssh_hosts {
    struct ssh_host *list;
    size_t count;
    const char *program, *tasks; /* see struct ssh_command; borrowed */
    char *const *options;        /* borrowed */
    char *const *envp;           /* borrowed */
    bool is_stopping;
};

#define SSH_HOSTS_MAX_POLL_FDS (SSH_MAX_HOSTS * SSH_HOST_POLL_FDS + 1)
/* The longest name of a socket file. */
#define SSH_HOSTS_LONGEST_NAME "/host-256.new"

/* The socket files are in `folder`. Targets are borrowed. Set the borrowed members before the first turn. */
void ssh_hosts_init(struct ssh_hosts *s, const struct ssh_targets *targets, const char *folder);
/* A zeroed struct is fine. */
void ssh_hosts_release(struct ssh_hosts *s);

/* Writes at most SSH_HOSTS_MAX_POLL_FDS entries and returns how many. Shortens *timeout_ms (negative: no limit). */
size_t ssh_hosts_poll_fds(const struct ssh_hosts *s, struct pollfd *fds, int *timeout_ms);
/* Returns whether a worker has become ready. */
bool ssh_hosts_turn(struct ssh_hosts *s, uint64_t now_ns);
/* Call this for each reaped process; other processes are ignored. */
void ssh_hosts_ended(struct ssh_hosts *s, pid_t pid, int status, uint64_t now_ns);
/* Lets all workers drain and starts none again. */
void ssh_hosts_stop(struct ssh_hosts *s);

/* Returns how many processes run. */
size_t ssh_hosts_running(const struct ssh_hosts *s);
/* Returns whether each host has been ready or has failed. */
bool ssh_hosts_are_settled(const struct ssh_hosts *s);
/* Returns whether each host has failed and none has ever been ready. */
bool ssh_hosts_have_failed(const struct ssh_hosts *s);

#endif
