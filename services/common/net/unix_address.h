/*
 * Addresses of the form unix:PATH: Unix-domain sockets in the file system. Between two programs on one machine, a
 * Unix-domain socket needs only a third as much processor time per byte as loopback TCP. A Unix-domain socket needs no
 * port, and only a user who may write to its file can connect.
 */
#ifndef FANTAIL_COMMON_NET_UNIX_ADDRESS_H
#define FANTAIL_COMMON_NET_UNIX_ADDRESS_H

#include <sys/socket.h>
#include <sys/un.h>

#include "common/base/base.h"

/* The longest path that the kernel accepts, in bytes. */
#define UNIX_PATH_BYTES (sizeof((struct sockaddr_un *)NULL)->sun_path - 1)

/* Returns the path of an address of the form unix:PATH, or NULL for any other address. The address may be NULL. */
const char *unix_address_path(const char *address);
/* Fills *a. Returns the length for bind() and connect(); 0: the path is empty or too long. */
MUST_CHECK socklen_t unix_address_fill(struct sockaddr_un *a, const char *path);
/* Connects a new socket, which does not block and closes on exec. Returns the descriptor; -1: errno says why. EAGAIN
 * means that too many connections wait for the listener. The call does not wait: a Unix-domain connection is made
 * immediately or not at all. */
MUST_CHECK int unix_address_connect(const char *path);
/* Enlarges the send buffer of a connected socket. A larger buffer saves wake-ups. An accepted socket does not inherit
 * this size, so each side calls this function for its own socket. */
void unix_address_widen(int fd);

#endif
