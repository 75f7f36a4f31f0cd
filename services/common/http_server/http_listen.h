/*
 * The socket a server listens on: a port of a numeric address, or a Unix-domain socket (unix_address.h).
 */
#ifndef FANTAIL_COMMON_HTTP_SERVER_HTTP_LISTEN_H
#define FANTAIL_COMMON_HTTP_SERVER_HTTP_LISTEN_H

#include "common/base/base.h"

struct http_server_options;

/* The descriptor; -1 on failure, with a sentence in err. The file of a Unix-domain socket that nobody listens on any
 * more, left by a process that was killed, is replaced. */
MUST_CHECK int http_listen(const struct http_server_options *o, char *err, size_t err_size);
/* 0 for a Unix-domain socket. */
uint16_t http_listen_port(int fd);
/* Whoever connects from now on is turned away; those who have connected stay, accepted or not. */
void http_listen_turn_newcomers_away(int fd, const char *host);
/* Somebody is connected and not accepted yet. */
bool http_listen_someone_waits(int fd);

#endif
