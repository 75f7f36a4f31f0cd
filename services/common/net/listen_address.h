/* The addresses that a service can listen on: a numeric address, or unix:PATH (unix_address.h). Pure. */
#ifndef FANTAIL_COMMON_NET_LISTEN_ADDRESS_H
#define FANTAIL_COMMON_NET_LISTEN_ADDRESS_H

#include <sys/socket.h>

#include "common/base/base.h"

/* Returns what is wrong with the form of the address; NULL: nothing is wrong. The text continues a sentence that begins
 * with the address: "is neither ...". */
const char *listen_address_fault(const char *host);
/* Fills *storage with a numeric address and the port. Returns the length for bind(); 0: the address is not numeric. */
MUST_CHECK socklen_t listen_address_fill(struct sockaddr_storage *storage, const char *host, uint16_t port);

#endif
