/*
 * An HTTP/1.1 client inside a libuv loop. libcurl (its multi interface with socket actions) makes all connections
 * except those to socket files. For https, libcurl also sends the requests and reads the answers. For plain http, our
 * own code sends the requests and reads the answers, on connections that it keeps.
 *
 * If a kept connection dies before the first byte of the answer, the client repeats a GET or HEAD without a body. The
 * client repeats no other request: the call ends with HTTP_CALL_LOST, and the caller decides whether to repeat the
 * request. Requests are never queued inside curl.
 *
 * Single-threaded. Callbacks run from the loop, never inside http_call_start(). on_end is called exactly once, unless
 * the call was cancelled. After on_end or a cancel the pointer to the call is invalid.
 */
#ifndef FANTAIL_COMMON_HTTP_CLIENT_HTTP_CLIENT_H
#define FANTAIL_COMMON_HTTP_CLIENT_HTTP_CLIENT_H

#include <sys/types.h>
#include <uv.h>

#include "common/base/base.h"

struct http_client;
struct http_call;

enum http_call_outcome {
    HTTP_CALL_OK,            /* a whole answer, whatever its status */
    HTTP_CALL_NOT_CONNECTED, /* no connection, or it ended too early: the request was certainly not delivered */
    HTTP_CALL_LOST,          /* bytes were sent, and then the connection died or the answer was invalid HTTP */
    HTTP_CALL_TIMED_OUT,     /* no connection was made in time, or no byte was received or sent for too long */
    HTTP_CALL_REFUSED_BY_US, /* on_body returned false */
};

struct http_call_result {
    enum http_call_outcome outcome;
    int status;         /* 0 if no status line has arrived */
    bool sent_body;     /* at least one byte of the request was sent */
    bool closes;        /* the answer has Connection: close */
    const char *reason; /* one sentence that says how the call ended; borrowed until on_end returns */
    /* The fault that prevented a TLS connection; NULL: there is none. With a fault, the outcome is
     * HTTP_CALL_NOT_CONNECTED. The faults:
     *     of the peer's certificate: wrong_name, expired, not_yet_valid, unknown_authority, revoked, wrong_purpose,
     *                                not_trusted
     *     of ours:                   client_certificate_refused (also if we have none and the peer demands one),
     *                                no_authorities (we trust no authority)
     *     of the handshake:          not_tls, handshake_failed */
    const char *tls_fault;
};

struct http_call_options {
    const char *method; /* "POST" */
    const char *url;    /* "http://10.0.0.7:8081/v1/tasks/square" */
    /* "10.0.0.7:8081" or "unix:PATH": the address to connect to; the Host header and the TLS name still come from the
     * URL. NULL: the URL's host and port. */
    const char *connect_to;
    bool new_connection;        /* do not use a kept connection */
    const char *const *headers; /* "Name: value" lines, NULL-ended; copied */
    /* The body has `body_bytes` bytes. read() writes up to `cap` of them to `dst` and returns their number. Until it
     * has written all `body_bytes`, read() must not return 0, unless it cancels the call. A small body is read before
     * there is a connection, so a call to read() does not mean that anything was sent. */
    int64_t body_bytes; /* 0: none */
    size_t (*read)(void *data, char *dst, size_t cap);
    /* The expected length of the answer's body, so that a short answer gets a small buffer; 0: unknown. The answer may
     * be longer than expected. */
    uint64_t answer_bytes;
    /* Called when the status and headers have arrived; http_call_header() works from now on. May be NULL. */
    void (*on_head)(void *data, struct http_call *call, int status);
    /* Gets a piece of the answer's body. If on_body() returns false, the call ends with HTTP_CALL_REFUSED_BY_US. */
    bool (*on_body)(void *data, const char *bytes, size_t len);
    void (*on_end)(void *data, const struct http_call_result *result);
    void *data;
    uint64_t connect_timeout_ms; /* 0: 2000 */
    uint64_t silence_timeout_ms; /* ends a call that neither receives nor sends bytes for this long; 0: no limit */
};

struct tls_store;

struct http_client_options {
    uint64_t max_idle_connection_ms; /* must be shorter than the peer's keep-alive timeout; 0: 60000 */
    uint64_t max_connection_age_ms;  /* older connections are not reused, so that a load balancer can choose a new peer;
                                        0: no limit */
    size_t receive_bytes;            /* size of the receive buffers; 0: 64 KiB */
    /* All calls go to socket files, which need no libcurl. If false, libcurl is loaded when the client is made. So if
     * the machine has no libcurl, the program ends when it starts, and not later. */
    bool only_socket_files;
    /* Holds our certificate, and the authorities that are trusted for https instead of the system's authorities. A call
     * uses the certificates that the store has when the call starts. NULL: we have no certificate, and trust the
     * system's authorities. Borrowed; must outlive the client. */
    struct tls_store *tls;
};

MUST_CHECK struct http_client *http_client_new(uv_loop_t *loop, const struct http_client_options *options);
/* Cancels the running calls; their on_end is not called. The loop must run until the handles are closed. NULL is
 * fine. */
void http_client_free(struct http_client *c);

MUST_CHECK struct http_call *http_call_start(struct http_client *c, const struct http_call_options *options);
/* Returns how many calls http_call_start() has accepted but the client has not begun yet. In each turn of the loop, the
 * client spends only a few milliseconds on beginning calls. A caller that starts many calls should wait while this
 * number is high. */
size_t http_client_calls_to_begin(const struct http_client *c);
/* Ends the call now, without calling on_end. Closes the call's connection, so the peer sees a hang-up. */
void http_call_cancel(struct http_call *call);
/* Returns the value of a header of the answer; NULL when absent. Borrowed until the call ends. */
const char *http_call_header(struct http_call *call, const char *name);
/* For on_head and on_body: returns true if a new connection was made for this call, false if the call uses a kept
 * connection. */
bool http_call_connected(struct http_call *call);
/* For on_head and on_body: makes the client close the connection when the call has ended, instead of keeping it for
 * another call. */
void http_call_close_after(struct http_call *call);

#endif
