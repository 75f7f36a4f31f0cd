/*
 * Declarations shared by the fleet*.c files. No other file includes this.
 *
 *     fleet.c            starts the services, watches them and restarts the ones that end
 *     fleet_arguments.c  the command line and the environment of each service
 *     fleet_output.c     passes on what the services write to standard error
 *     fleet_end.c        ends the services and everything they started
 */
#ifndef FANTAIL_CLI_FLEET_FLEET_INTERNAL_H
#define FANTAIL_CLI_FLEET_FLEET_INTERNAL_H

#include "cli/fleet/child_service.h"
#include "cli/fleet/fleet.h"
#include "cli/fleet/run_dir.h"
#include "cli/report/relay.h"
#include "common/base/buf.h"
#include "common/net/unix_address.h"

#define FLEET_MAX_ARGUMENTS 32

/* The longest name of a socket file. */
#define FLEET_LONGEST_SOCKET_NAME SSH_HOSTS_LONGEST_NAME

/* The path of a program, and its options. */
struct fleet_arguments {
    char *argv[FLEET_MAX_ARGUMENTS]; /* owned strings; ends with NULL */
    size_t argc;
};

struct fleet_service {
    struct child_service process;
    int output_fd; /* our end of the pipe that is the service's standard error; -1: the service writes to ours */
    struct relay relay;
    struct fleet_arguments arguments;
    char name[32];          /* "coordinator", "worker 2": for messages */
    bool was_ready;         /* the service has been ready at least once */
    bool reload_pending;    /* send SIGHUP when the service is ready; before that, the signal would kill the service */
    unsigned failed_starts; /* consecutive starts of the service that ended before it was ready */
    uint64_t restart_ns;    /* if the service is down: when to start it */
    uint64_t backoff_ms;
};

struct fleet {
    struct fleet_service *services; /* services[0] is the coordinator */
    size_t count;
    struct ssh_hosts hosts;
    struct fleet_arguments on_host; /* of the worker of each host, without the options that differ */
    char *tasks_on_host;            /* absolute path */
    struct locked_dir sockets;
    char url[UNIX_PATH_BYTES + 8]; /* address of the coordinator */
    char **envp;                   /* owned array of borrowed strings */
    bool announce, has_store;
    uint64_t started_ns, stopped_ns;
    unsigned drain_s;
    bool wrong_usage; /* a service has refused its options */
    char error[256];
};

/* Stores the reason for fleet_error(). Returns false. */
bool fleet_fail(struct fleet *f, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Appends the address (unix:PATH) where a service without a port listens. Service number 0 is the coordinator. */
void fleet_add_socket(const struct fleet *f, struct buf *address, size_t number);
/* Sets the command line of every service. f->url and the directory of sockets must be known. */
void fleet_set_arguments(struct fleet *f, const struct fleet_options *o);
void fleet_arguments_release(struct fleet_arguments *a);
/* Sets the environment of all services. */
void fleet_set_environment(struct fleet *f, bool is_private);

/* Gives each service a pipe as its standard error. On failure returns false and sets f->error. */
MUST_CHECK bool fleet_output_open(struct fleet *f);
void fleet_output_close(struct fleet *f);

#endif
