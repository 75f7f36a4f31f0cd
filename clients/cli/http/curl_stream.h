/*
 * A TLS byte stream made by libcurl. The library is loaded only for an https:// URL, because loading it takes ten
 * milliseconds and several MiB. curl connects, verifies the certificate and uses proxies (https_proxy). connection.c
 * implements HTTP itself.
 */
#ifndef FANTAIL_CLI_HTTP_CURL_STREAM_H
#define FANTAIL_CLI_HTTP_CURL_STREAM_H

#include <sys/types.h>

#include "cli/http/target.h"

struct curl_stream;

/* Connects. Blocks until the connection has been made or has failed. *fd becomes the socket to poll. On failure it
 * returns NULL and writes a sentence to err. */
MUST_CHECK struct curl_stream *curl_stream_open(const struct target *t, int *fd, char *err, size_t err_size);
/* The next two functions are like read() and write() on a non-blocking socket: they return -1 with EAGAIN if they would
 * block. If a write fails with EAGAIN, repeat it with the same bytes. Read until EAGAIN before polling, because the
 * library may hold decrypted bytes. */
ssize_t curl_stream_read(struct curl_stream *s, void *data, size_t size);
ssize_t curl_stream_write(struct curl_stream *s, const void *data, size_t len);
/* Returns why the last read or write failed; "" if that is not known. */
const char *curl_stream_error(const struct curl_stream *s);
void curl_stream_close(struct curl_stream *s);

#endif
