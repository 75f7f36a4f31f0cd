/*
 * Opens the socket that a server listens on: a port of a numeric address, or a Unix-domain socket (unix_address.h).
 */
#ifndef FANTAIL_COMMON_HTTP_SERVER_HTTP_LISTEN_H
#define FANTAIL_COMMON_HTTP_SERVER_HTTP_LISTEN_H

#include "common/base/base.h"

struct http_server_options;

/* Returns the descriptor. On failure it returns -1, with a sentence in err. Replaces a socket file that a killed
 * process left behind. */
MUST_CHECK int http_listen(const struct http_server_options *o, char *err, size_t err_size);
/* Returns the port; 0 for a Unix-domain socket. */
uint16_t http_listen_port(int fd);
/* Refuses new connections from now on. Established connections stay open, even those that are not accepted yet. */
void http_listen_refuse_new(int fd, const char *host);
/* Returns whether a connection waits to be accepted. */
bool http_listen_has_waiting(int fd);

#endif
