/* The hosts of `fantail local --ssh`, as the user writes them: [user@]host[:port], separated by commas. */
#ifndef FANTAIL_CLI_SSH_SSH_TARGET_H
#define FANTAIL_CLI_SSH_SSH_TARGET_H

#include "common/base/base.h"

#define SSH_MAX_HOSTS  256
#define SSH_NAME_BYTES 127 /* the name is also the id of the host's worker, so it has the same limit as such an id */

struct ssh_target {
    char *name; /* as the user wrote it: for messages, and as the id of the worker */
    char *host; /* for ssh: "user@host", without the brackets of an IPv6 address and without the port */
    char *port; /* NULL: ssh chooses it */
};

struct ssh_targets {
    struct ssh_target *list;
    size_t count;
};

/* Reads the list. An address of IPv6 with a port is written in brackets: user@[fe80::1]:22. On failure writes a
 * sentence that begins with the host, in quotes, to err, and returns false. Release the list in both cases. */
MUST_CHECK bool ssh_targets_read(struct ssh_targets *t, const char *text, char *err, size_t err_size);
/* A zeroed struct is fine. */
void ssh_targets_release(struct ssh_targets *t);

#endif
