/*
 * A fleet on this machine: one coordinator and some workers as child processes, all started together. `fantail local`
 * runs such a fleet; `fantail map` runs a private fleet (private_fleet.h).
 *
 * The programs of the services are in the directory of this program. Each service writes to an inherited descriptor
 * when it is ready (--ready-fd). The fleet has a directory that no other user can enter. The workers listen on socket
 * files in that directory. The coordinator also listens on a socket file in that directory, unless the options name
 * another socket or a port. With port 0, this module chooses a port and keeps it reserved while the fleet lives, so a
 * restarted coordinator has the same address. The services end when this process ends, even if it is killed
 * (--exit-with-parent).
 *
 * With `hosts`, the coordinator also uses workers on other machines. ssh forwards a socket file in the fleet's
 * directory to each of them (ssh_hosts.h).
 *
 * The owner calls fleet_poll_fds(), poll() and fleet_turn() in a loop. SIGCHLD must interrupt the poll() (interrupt.h).
 */
#ifndef FANTAIL_CLI_FLEET_FLEET_H
#define FANTAIL_CLI_FLEET_FLEET_H

#include <poll.h>

#include "cli/ssh/ssh_hosts.h"
#include "common/base/base.h"

struct fleet;

#define FLEET_MAX_WORKERS 256

struct fleet_options {
    const char *tasks_dir;
    const char *task_cwd;    /* folder in which tasks run; NULL: each task runs in its own folder */
    unsigned workers;        /* 0..FLEET_MAX_WORKERS; 0 only with hosts */
    unsigned processes;      /* task processes of each worker; 0: the worker's default */
    const char *host;        /* the coordinator's address or unix:PATH; NULL: a socket file in the fleet's directory */
    uint16_t port;           /* port of the coordinator, if `host` is an address; 0: any free port */
    const char *token_file;  /* token file of the coordinator; NULL: none */
    const char *store;       /* --store of the coordinator; NULL: none */
    bool insecure;           /* the coordinator accepts requests from other machines without a token */
    bool is_private;         /* a private fleet: it ignores the caller's FANTAIL_* variables */
    const char *scratch_dir; /* where task processes get their temporary directories; NULL: the workers' default */
    const char *log_level;   /* NULL: "warn" */
    bool log_as_json;        /* the services write their log as JSON objects, not as text */
    unsigned drain_s;        /* how long fleet_stop() waits for running work; 0: the services' default */
    int64_t admin_port; /* admin port of the coordinator; the workers use the next ports; 0: any free ports; -1: none */
    bool watch;         /* the workers notice changed task folders and read them again */
    bool relays;        /* this program passes on what the services write to standard error, see fleet_read_output() */
    bool shows_name;    /* only with `relays`: the name of a task stands before each line that the task prints */
    /* Other machines that have a worker each; NULL: none. Not for a private fleet. */
    const struct ssh_targets *hosts;
    unsigned processes_on_hosts; /* like `processes`, for the workers on the hosts */
    bool announce; /* report on standard error: ended and restarted services, the addresses of metrics, and that
                      fleet_stop() waits for work. Needs drain_s */
};

/* Starts every process and returns without waiting for them. On failure it returns NULL and writes a sentence to err.
 * Strings are borrowed. */
MUST_CHECK struct fleet *fleet_start(const struct fleet_options *options, char *err, size_t err_size);
/* Writes at most FLEET_MAX_POLL_FDS entries to fds and returns how many. If a restart is due before *timeout_ms has
 * passed (negative: no limit), sets *timeout_ms to the time until the restart. */
size_t fleet_poll_fds(const struct fleet *f, struct pollfd *fds, int *timeout_ms);
#define FLEET_MAX_POLL_FDS (2 * (FLEET_MAX_WORKERS + 1) + SSH_HOSTS_MAX_POLL_FDS)
/* With `relays`: reads what the services and tasks have written to standard error, and adds it to the lines that wait
 * (status_line_flush()). If a task prints before it answers, this function can read the output before the answer
 * arrives. Does not block. */
void fleet_read_output(struct fleet *f);
/* Like fleet_read_output(), and also writes all these lines to standard error. Blocks if the reader of standard error
 * is slow. After a signal that asks the program to end, does not block. */
void fleet_write_output(struct fleet *f);
/* Reads ready lines, and reaps and restarts services. Returns false if a service cannot be started, or if there are
 * only hosts and none of them can be used; fleet_error() returns the reason. */
MUST_CHECK bool fleet_turn(struct fleet *f);
const char *fleet_error(const struct fleet *f);
/* Returns the exit status for the error of fleet_error(): EXIT_USAGE if a service refused its options, otherwise
 * EXIT_JOB_FAILED. */
int fleet_exit_status(const struct fleet *f);
/* Returns whether every service is ready now, and each host has been ready or has failed. */
bool fleet_is_ready(const struct fleet *f);
/* Returns the address of the coordinator: http://127.0.0.1:PORT or unix:PATH. It is borrowed. */
const char *fleet_url(const struct fleet *f);

/* Makes every service of this machine read its tasks, tokens and certificates again. A service that is still starting
 * reads these files again when it is ready. */
void fleet_reload(struct fleet *f);

/* Asks every service to end and waits. If a second signal asks this program to end (interrupt_count()), kills the
 * services that still run, and returns false. If no signal asked the program to end before this call, one signal is
 * enough to kill them. Frees f. NULL is fine. */
MUST_CHECK bool fleet_stop(struct fleet *f);
/* Kills every service and all its descendants, and waits for their end. Writes the rest of their output. Frees f. NULL
 * is fine. */
void fleet_kill(struct fleet *f);

#endif
