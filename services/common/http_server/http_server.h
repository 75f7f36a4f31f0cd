/*
 * An HTTP/1.1 server inside a libuv loop: libmicrohttpd in external epoll mode, with its epoll descriptor in the loop.
 * The server has routes, and streams request bodies and answers with backpressure. The server checks framing strictly,
 * and limits how long heads and bodies may take. The server notices a hang-up even while an exchange is suspended.
 * Every error is answered with application/problem+json.
 *
 * The server does not know what a job or a task is. The server is single-threaded: call every function on the loop's
 * thread.
 *
 * A `struct http_exchange` is one request together with its answer. Its life:
 *     route's handle()  ->  body()*  ->  body_end()  ->  [answer sent]  ->  closed()
 * handle() runs when the headers have arrived. Before it returns, handle() must answer or call http_exchange_accept().
 * If the route answers before the body is complete, the server reads and drops the rest of the body, and then sends the
 * answer. After an exchange has been answered, body() and body_end() are no longer called. closed() is called last,
 * exactly once for an accepted exchange. After closed(), the pointer to the exchange is invalid. The server calls
 * closed() from the loop or from http_server_stop().
 *
 * Every answer tells proxies not to store it (Cache-Control), unless the route sets this header. A streamed answer also
 * tells proxies to forward each piece without delay.
 *
 * A client that only shuts down its sending side (printf | nc) still gets its answer. But a client that shuts down its
 * sending side counts as gone if the answer has already begun, or if the client speaks HTTP/1.0.
 */
#ifndef FANTAIL_COMMON_HTTP_SERVER_HTTP_SERVER_H
#define FANTAIL_COMMON_HTTP_SERVER_HTTP_SERVER_H

#include <sys/types.h>
#include <uv.h>

#include "common/base/base.h"
#include "common/base/buf.h"

struct http_server;
struct http_exchange;
struct tls_store;

enum http_closed {
    HTTP_CLOSED_DONE,     /* the whole answer was handed to the kernel */
    HTTP_CLOSED_HANG_UP,  /* the client hung up, was too slow, or sent broken framing */
    HTTP_CLOSED_SHUTDOWN, /* http_server_stop() ended the exchange */
};

enum { HTTP_PULL_WAIT = 0, HTTP_PULL_END = -1, HTTP_PULL_ABORT = -2 };

struct http_exchange_ops {
    /* A piece of the body. Returns how many bytes body() has used. If body() has used fewer than `len` bytes, the
     * upload is suspended until http_exchange_wake(). NULL: the body is read and dropped. */
    size_t (*body)(struct http_exchange *x, const char *data, size_t len);
    /* The body is complete. Answer now or later. */
    void (*body_end)(struct http_exchange *x);
    /* For streamed answers: writes up to `cap` bytes to `dst` and returns the number of bytes. HTTP_PULL_WAIT suspends
     * the answer until http_exchange_wake(), and HTTP_PULL_END ends it. HTTP_PULL_ABORT cuts the connection, so that
     * the client sees a truncated answer. */
    ssize_t (*pull)(struct http_exchange *x, char *dst, size_t cap);
    /* Called before a streamed answer begins. If the whole answer is ready and too large to copy, whole() moves the
     * bytes to `answer` and returns true; pull() is then not called. `whole` may be NULL. */
    bool (*whole)(struct http_exchange *x, struct buf *answer);
    /* The exchange is over. x is invalid after closed() returns, so drop every pointer to x. */
    void (*closed)(struct http_exchange *x, enum http_closed how);
};

/* `path` is a template: "/v1/tasks/{task}". If the path of a request matches but no route has the request's method, the
 * answer is 405 with Allow. HEAD is answered like GET, without the body. */
struct http_route {
    const char *method;
    const char *path;
    void (*handle)(struct http_exchange *x, void *server_data);
};

struct http_server_options {
    const char *host; /* a numeric address ("::" for both families) or unix:PATH; NULL: 127.0.0.1 */
    /* The names of the program's options for the host and the port, without "--". If the server cannot listen, the
     * message names the option. NULL: the message names no option. */
    const char *host_option, *port_option;
    uint16_t port;                   /* the port of a numeric address; 0: any free port, see http_server_port() */
    const struct http_route *routes; /* ends with a {0} entry; borrowed */
    /* The routes of another server of this program, or NULL. If only the other server has the path of a request,
     * `other_hint` is the end of the sentence "there is nothing at /metrics ...". Both options are borrowed. */
    const struct http_route *other_routes;
    const char *other_hint;
    void *data;                /* passed to every handle() */
    size_t max_body_bytes;     /* 0: LIMIT_BODY_BYTES */
    const char *too_long_hint; /* "; " and what a client with a longer body can do; NULL: no hint; borrowed */
    unsigned max_connections;  /* 0: LIMIT_CONNECTIONS */
    size_t connection_bytes;   /* memory of a connection; 0: LIMIT_CONNECTION_BYTES, the maximum */
    bool reuse_port;
    struct tls_store *tls;      /* NULL: http; otherwise https with the certificates of this store; borrowed */
    uint64_t header_timeout_ms; /* a head that takes longer is answered with 408; 0: LIMIT_HEADER_MS */
    uint64_t upload_pause_ms;   /* a longer pause in a request's body is answered with 408; 0: LIMIT_UPLOAD_PAUSE_S */
    /* An idle connection is closed after this time; 0: LIMIT_KEEPALIVE_S. If three quarters of max_connections are
     * open, or memory is short, idle connections are closed after header_timeout_ms, if that is shorter. */
    uint64_t keepalive_timeout_ms;
    /* Called for every request after its headers have arrived and before they are checked. Also called for a request
     * that is refused before the library has passed on its headers. add_headers() must call http_headers_add() for each
     * header that every answer has. `origin` is the request's Origin; NULL: there is none, or it has not arrived yet. A
     * route must not set these headers again. NULL: there are no such headers. */
    void (*add_headers)(void *admit_data, const char *origin, struct buf *headers);
    /* Called for every request after its headers were checked and before its route is looked up. Either returns true,
     * or answers the request and returns false. NULL: all requests are admitted. */
    bool (*admit)(void *admit_data, struct http_exchange *x);
    void *admit_data;
    /* Names of request headers; the list ends with NULL. Each answer repeats the values of these headers, except an
     * answer to an incomplete or malformed head. NULL: none. */
    const char *const *repeated_headers;
    /* A header line of the answer that http_server_close_idle() sends, with its CRLF. The header marks an answer that
     * belongs to no request. NULL: none. */
    const char *unasked_header;
    /* Called for every finished exchange, for metrics and the log; may be NULL. `route` is the template of the route;
     * "" if no route matched. */
    void (*on_done)(void *data, const char *method, const char *route, int status, uint64_t duration_ns);
};

/* Returns NULL on failure, with a sentence in err such as "--port: cannot listen on 127.0.0.1:80: Permission denied".
 */
MUST_CHECK struct http_server *http_server_start(uv_loop_t *loop, const struct http_server_options *options, char *err,
                                                 size_t err_size);
uint16_t http_server_port(const struct http_server *s); /* 0 for unix:PATH */
/* From now on every answer carries "Connection: close". */
void http_server_drain(struct http_server *s);
/* Stops accepting connections; open exchanges continue. First the server refuses new connections. Then the server
 * accepts the connections that were just being established, and closes the listening socket. So no client loses an
 * established connection. These steps take at least LIMIT_ARRIVE_MS, so call this function again until it returns
 * true. */
MUST_CHECK bool http_server_stop_listening(struct http_server *s);
unsigned http_server_open_exchanges(const struct http_server *s);
/* For a drain: returns whether the kernel still has bytes of answers that peers have not received. Answers on
 * connections that are already closed count too. If the container's network ended now, the unreceived bytes would be
 * lost. */
bool http_server_has_unsent(const struct http_server *s);
/* Closes the connections that have no open exchange, in a way that loses no request. On each idle connection the server
 * sends an unsolicited answer (503, Connection: close) and then shuts down the sending side. Bytes that still arrive
 * are read and dropped. A peer that has just sent a request takes the 503 as its answer, and knows that the request was
 * not read. After the drain, call this function repeatedly until it returns true: then all peers have closed, or
 * LIMIT_CLOSE_IDLE_MS has passed. */
MUST_CHECK bool http_server_close_idle(struct http_server *s);
/* Ends all open exchanges (closed() with HTTP_CLOSED_SHUTDOWN) and frees the server. The loop must keep running until
 * the handles are closed. NULL is fine. */
void http_server_stop(struct http_server *s);

/* The request. Strings are borrowed until closed(). The decoded path and query are text: valid UTF-8 without NUL bytes.
 * A request whose path or query is not text is answered with 400 before its route is called. */
const char *http_exchange_method(const struct http_exchange *x);
const char *http_exchange_path(const struct http_exchange *x);
/* Returns the part of the path that matched {name} of the template, percent-decoded. */
const char *http_exchange_param(const struct http_exchange *x, const char *name);
/* Returns a query argument, percent-decoded: "" if the argument has no value, NULL if the query does not have the
 * argument. */
const char *http_exchange_query(const struct http_exchange *x, const char *name);
/* Calls fn for every query argument. */
void http_exchange_each_query(struct http_exchange *x, void (*fn)(void *data, const char *name, const char *value),
                              void *data);
/* Returns the value of a header, or NULL if the request does not have the header. The case of `name` does not
 * matter. */
const char *http_exchange_header(const struct http_exchange *x, const char *name);
/* Returns how many times the request has this header. Appends the values to `joined`, separated by commas; appends
 * nothing if the values would exceed the cap. `joined` may be NULL. */
unsigned http_exchange_header_all(const struct http_exchange *x, const char *name, struct buf *joined);
/* Writes the numeric address of the peer, without the port. Returns false if the peer has no such address (a socket
 * file), or has hung up. */
MUST_CHECK bool http_exchange_peer(const struct http_exchange *x, char *text, size_t size);
/* Writes the numeric address and the port of our side of the connection: "10.0.0.7:8080" or "[fd00::7]:8080". Returns
 * false if the connection has no such address (a socket file). */
MUST_CHECK bool http_exchange_reached(const struct http_exchange *x, char *text, size_t size);
/* Returns the Content-Length of the request, or -1 if the body comes in chunks. */
int64_t http_exchange_content_length(const struct http_exchange *x);

/* Call it in handle() to send the answer without first reading the body. If the request has a body, the connection is
 * closed after the answer. */
void http_exchange_leave_body(struct http_exchange *x);

void http_exchange_accept(struct http_exchange *x, const struct http_exchange_ops *ops, void *data);
void *http_exchange_data(const struct http_exchange *x);

/* Adds a header to `headers`, the headers of an answer. */
void http_headers_add(struct buf *headers, const char *name, const char *value);
/* To answer, first set the headers, and then call one of the http_answer functions below exactly once. The value of a
 * header is copied. If a header is set again, the new value replaces the old one. */
void http_exchange_set_header(struct http_exchange *x, const char *name, const char *value);
void http_answer(struct http_exchange *x, int status, const char *content_type, const char *body, size_t len);
#define HTTP_ETAG_SIZE 24
/* Writes the ETag of a body to `etag`, which needs HTTP_ETAG_SIZE bytes. */
void http_etag_write(char *etag, size_t size, const char *body, size_t len);
/* Answers 200 with the body and its ETag. If the client already has this body (If-None-Match), answers 304. */
void http_answer_tagged(struct http_exchange *x, const char *content_type, const char *body, size_t len);
/* Answers with the bytes that pull() returns (see the ops of http_exchange_accept()). The head is sent together with
 * the first bytes. If the whole answer is complete at this time, it has a Content-Length and is sent in one piece. */
void http_answer_stream(struct http_exchange *x, int status, const char *content_type);
/* Sends the head of a streamed answer now, before there are bytes of the body. Does nothing if the head was already
 * sent. */
void http_exchange_send_head(struct http_exchange *x);
/* Answers with application/problem+json: {"type":"about:blank","title":"...","status":N,"detail":"..."}. `members` is
 * NULL, or further JSON members such as "\"pointer\":\"/items\",\"offset\":17". */
void http_answer_problem(struct http_exchange *x, int status, const char *members, const char *detail_fmt, ...)
    PRINTF_LIKE(4, 5);
/* For a call without query parameters: if the request has a query parameter, answers with 400 and returns false.
 * hint(name) returns a text about what the client may have meant by that parameter, or NULL. `hint` may be NULL. */
MUST_CHECK bool http_check_no_query(struct http_exchange *x, const char *(*hint)(const char *name));
/* Like http_check_no_query(), for a call whose only query parameter is `known`. */
MUST_CHECK bool http_check_query(struct http_exchange *x, const char *known, const char *(*hint)(const char *name));
/* Like http_check_no_query(), for a call that has the query parameters `known`. `known` ends with NULL. Each parameter
 * may be given at most once. */
MUST_CHECK bool http_check_queries(struct http_exchange *x, const char *const *known,
                                   const char *(*hint)(const char *name));
bool http_exchange_answered(const struct http_exchange *x);
/* Returns the status of the answer; 0: there is no answer yet. */
int http_exchange_status(const struct http_exchange *x);

/* Call it when body() can use more bytes, or pull() has more bytes. The function is cheap, and may be called at any
 * time and more than once. */
void http_exchange_wake(struct http_exchange *x);

#endif
