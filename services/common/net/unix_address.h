/*
 * Addresses of the form unix:PATH, a Unix-domain socket in the file system: between programs on one machine it carries
 * a byte for a third of the processor time of a loopback connection, takes no port, and is reached only by those who
 * may write to the file.
 */
#ifndef FANTAIL_COMMON_NET_UNIX_ADDRESS_H
#define FANTAIL_COMMON_NET_UNIX_ADDRESS_H

#include <sys/socket.h>
#include <sys/un.h>

#include "common/base/base.h"

/* The longest path, in bytes; the kernel's limit. */
#define UNIX_PATH_BYTES (sizeof((struct sockaddr_un *)NULL)->sun_path - 1)

/* The path of an address of that form, a part of it; NULL when it is another. An address may be NULL. */
const char *unix_address_path(const char *address);
/* Returns the length for bind() and connect(); 0 when the path is empty or too long. */
MUST_CHECK socklen_t unix_address_fill(struct sockaddr_un *a, const char *path);
/* Gives a connected socket room for more bytes on their way than the kernel's default: fewer wake-ups. The room of a
 * listening socket is not inherited, so each side does it for itself. */
void unix_address_widen(int fd);

#endif
