/*
 * A fleet on this machine: one coordinator and some workers as child processes, all started at once. Used by
 * `fantail local` and, privately, by `fantail map`.
 *
 * The programs stand beside this one. Each says on an inherited descriptor when it is ready (--ready-fd). They
 * listen on sockets in a directory of ours, where no other user reaches them; the coordinator, if asked to, on a port,
 * which stays reserved while the fleet lives. So a service that died comes back under the same address. The children
 * end when this process ends, however it ends (--exit-with-parent).
 *
 * Driven by poll(): fleet_poll_fds(), then fleet_turn(). SIGCHLD must wake the poll (interrupt.h).
 */
#ifndef FANTAIL_CLI_FLEET_FLEET_H
#define FANTAIL_CLI_FLEET_FLEET_H

#include <poll.h>

#include "common/base/base.h"

struct fleet;

#define FLEET_MAX_WORKERS 256

struct fleet_options {
    const char *tasks_dir;
    unsigned workers;       /* 1..FLEET_MAX_WORKERS */
    unsigned processes;     /* of each worker; 0: the machine's share */
    uint16_t port;          /* of the coordinator, if host is an address; 0: a free one */
    const char *token_file; /* of the coordinator; NULL: none */
    bool insecure;          /* it may listen beyond this machine without */
    const char *host;       /* where the coordinator listens: an address, or unix:PATH; NULL: a socket of ours */
    const char *tmp_dir;    /* TMPDIR of the services; NULL: as here */
    const char *log_level;
    unsigned drain_s; /* how long fleet_stop() lets running work end; 0: the services' default */
    bool announce;    /* says on standard error what dies and comes back */
};

/* Starts every process and returns at once. NULL on failure, with a sentence in err. Strings are borrowed. */
MUST_CHECK struct fleet *fleet_start(const struct fleet_options *options, char *err, size_t err_size);
/* Writes at most one entry per process to fds and returns how many; *timeout_ms is lowered when a restart is due. */
size_t fleet_poll_fds(const struct fleet *f, struct pollfd *fds, int *timeout_ms);
#define FLEET_MAX_POLL_FDS (FLEET_MAX_WORKERS + 1)
/* Takes ready lines, reaps and restarts. False when the fleet cannot come up; the reason is in fleet_error(). */
MUST_CHECK bool fleet_turn(struct fleet *f);
const char *fleet_error(const struct fleet *f);
/* Every service has answered (and none is away just now). */
bool fleet_is_ready(const struct fleet *f);
const char *fleet_url(const struct fleet *f); /* of the coordinator: http://127.0.0.1:PORT, or unix:PATH; borrowed */

/* Has every process read its tasks, tokens and certificates again; one that is just starting, when it is ready. */
void fleet_reload(struct fleet *f);

/* Asks every process to end and waits for it; a second request to end (interrupt.h) kills. Frees f. NULL is fine. */
void fleet_stop(struct fleet *f);
/* Kills every process and all their descendants, and waits for that. For work that is over. Frees f. NULL is fine. */
void fleet_kill(struct fleet *f);

#endif
