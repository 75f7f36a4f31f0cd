/*
 * Addresses of the form unix:PATH: Unix-domain sockets in the file system. Between programs on one machine, a byte
 * costs a third of the processor time that it costs over loopback. A Unix-domain socket needs no port, and only a user
 * who may write to its file can connect.
 */
#ifndef FANTAIL_COMMON_NET_UNIX_ADDRESS_H
#define FANTAIL_COMMON_NET_UNIX_ADDRESS_H

#include <sys/socket.h>
#include <sys/un.h>

#include "common/base/base.h"

/* The longest path, in bytes. It is the kernel's limit. */
#define UNIX_PATH_BYTES (sizeof((struct sockaddr_un *)NULL)->sun_path - 1)

/* Returns the path in an address of this form, or NULL for another form. The address may be NULL. */
const char *unix_address_path(const char *address);
/* Returns the length for bind() and connect(); 0 when the path is empty or too long. */
MUST_CHECK socklen_t unix_address_fill(struct sockaddr_un *a, const char *path);
/* Lets a connected socket buffer more sent bytes than the kernel allows by default. This saves wake-ups. A listening
 * socket does not pass this setting on, so each side calls it for its own socket. */
void unix_address_widen(int fd);

#endif
