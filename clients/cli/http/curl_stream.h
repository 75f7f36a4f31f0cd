/*
 * A TLS byte stream made by libcurl, loaded only when an https:// URL asks for it: the library brings ten milliseconds
 * of start and several MiB, which a run against this machine should not pay. curl connects, verifies, and goes through
 * proxies (https_proxy); HTTP itself is spoken by connection.c either way.
 */
#ifndef FANTAIL_CLI_HTTP_CURL_STREAM_H
#define FANTAIL_CLI_HTTP_CURL_STREAM_H

#include <sys/types.h>

#include "cli/http/target.h"

struct curl_stream;

/* Connects, blocking. NULL with a sentence in err. *fd is the socket to poll. */
MUST_CHECK struct curl_stream *curl_stream_open(const struct target *t, int *fd, char *err, size_t err_size);
/* As read() and write() on a socket that does not block: -1 with EAGAIN. A write that was refused is repeated with the
 * same bytes. Read until EAGAIN before polling: the library may hold decrypted bytes. */
ssize_t curl_stream_read(struct curl_stream *s, void *data, size_t size);
ssize_t curl_stream_write(struct curl_stream *s, const void *data, size_t len);
/* Why the last read or write failed for good; "" when that is not known. */
const char *curl_stream_error(const struct curl_stream *s);
void curl_stream_close(struct curl_stream *s);

#endif
