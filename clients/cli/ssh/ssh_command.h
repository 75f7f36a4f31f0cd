/*
 * The command line of `ssh` for the worker of one host. One connection does everything: it starts the worker, it
 * forwards a socket file on this machine to the worker's socket file on the host, and it ends the worker, because the
 * worker's standard input ends with the connection (--stdin-lease-s).
 *
 * Both socket files are in folders that only the user can enter, so no port is open on either machine. The worker's
 * folder has a new random name for each connection. So if a worker still runs after its connection has broken, the next
 * worker uses another folder.
 */
#ifndef FANTAIL_CLI_SSH_SSH_COMMAND_H
#define FANTAIL_CLI_SSH_SSH_COMMAND_H

#include "cli/ssh/ssh_target.h"
#include "common/base/buf.h"

#define SSH_BEAT_MS 2000 /* how often this program writes a byte to the standard input of ssh */
#define SSH_LEASE_S 15   /* a worker that gets no byte for this time ends */

struct ssh_command {
    const struct ssh_target *target;
    const char *near; /* path of the socket file on this machine */
    const char *far;  /* path of the worker's folder on the host. It does not exist yet */
    const char
        *program;      /* path of fantail-worker on this machine; if the host has no such file, it searches its PATH */
    const char *tasks; /* absolute path of the folder of the tasks */
    char *const *options; /* further options of the worker; ends with NULL */
};

/* Returns false if ssh would not take the path of a socket file literally. */
MUST_CHECK bool ssh_command_is_plain(const char *path);
/* Returns the arguments, which end with NULL. The caller frees them with ssh_command_free(). */
MUST_CHECK char **ssh_command_make(const struct ssh_command *c);
void ssh_command_free(char **argv);

#endif
