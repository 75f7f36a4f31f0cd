/*
 * An HTTP/1.1 server inside a libuv loop: libmicrohttpd in external epoll mode, with its epoll descriptor in the loop.
 * It has routes, and streams request bodies and answers with backpressure. It checks framing strictly, and limits the
 * time of heads and bodies. It notices a hang-up even while an exchange is suspended. Every error is answered with
 * application/problem+json.
 *
 * Does not know what a job or a task is. Single-threaded: call every function on the loop's thread.
 *
 * One request and its answer is a `struct http_exchange`. Its life:
 *     route's handle()  ->  body()*  ->  body_end()  ->  [answer sent]  ->  closed()
 * handle() runs when the headers are in. It must answer at once or call http_exchange_accept(). If the route answers
 * before the body is complete, the rest of the body is read and dropped, and then the answer is sent. Once an exchange
 * is answered, body() and body_end() are no longer called. closed() is called last and exactly once for an accepted
 * exchange, and then the pointer is invalid. It is called from the loop or from http_server_stop().
 *
 * Every answer tells proxies not to store it (Cache-Control), unless the route sets this header. A streamed answer also
 * tells them to pass on each piece.
 *
 * A client that only shuts down its sending side (printf | nc) still gets its answer. Such a client counts as gone if
 * it does so after the answer has begun, or if it speaks HTTP/1.0.
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
    HTTP_CLOSED_SHUTDOWN, /* http_server_stop() ended it */
};

enum { HTTP_PULL_WAIT = 0, HTTP_PULL_END = -1, HTTP_PULL_ABORT = -2 };

struct http_exchange_ops {
    /* A piece of the body. Returns how many bytes it used; fewer than `len` suspends the upload until
     * http_exchange_wake(). NULL: the body is read and dropped. */
    size_t (*body)(struct http_exchange *x, const char *data, size_t len);
    /* The body is complete. Answer now or later. */
    void (*body_end)(struct http_exchange *x);
    /* For streamed answers. Writes up to `cap` bytes at `dst` and returns how many. HTTP_PULL_WAIT suspends the answer
     * until http_exchange_wake(), and HTTP_PULL_END ends it. HTTP_PULL_ABORT cuts the connection, so that the client
     * sees a truncated answer. */
    ssize_t (*pull)(struct http_exchange *x, char *dst, size_t cap);
    /* Called before a streamed answer begins. If the whole answer is ready and too large to copy, it moves the answer
     * to `answer` and returns true. Then pull() is not called. `whole` may be NULL. */
    bool (*whole)(struct http_exchange *x, struct buf *answer);
    /* The exchange is over. x is invalid when this returns, so drop every pointer to it. */
    void (*closed)(struct http_exchange *x, enum http_closed how);
};

/* `path` is a template: "/v1/tasks/{task}". A path that matches only with another method is answered with 405 and
 * Allow. HEAD is answered like GET, without the body. */
struct http_route {
    const char *method;
    const char *path;
    void (*handle)(struct http_exchange *x, void *server_data);
};

struct http_server_options {
    const char *host;                /* a numeric address ("::" for both families) or unix:PATH; NULL: 127.0.0.1 */
    uint16_t port;                   /* the port of a numeric address; 0: any free port, see http_server_port() */
    const struct http_route *routes; /* ends with a {0} entry; borrowed */
    void *data;                      /* passed to every handle() */
    size_t max_body_bytes;           /* 0: LIMIT_BODY_BYTES */
    unsigned max_connections;        /* 0: LIMIT_CONNECTIONS */
    bool reuse_port;
    struct tls_store *tls;      /* NULL: http; else https, with certificates from here; borrowed */
    uint64_t header_timeout_ms; /* a head that takes longer is answered with 408; 0: LIMIT_HEADER_MS */
    uint64_t upload_pause_ms; /* a request whose body pauses for longer is answered with 408; 0: LIMIT_UPLOAD_PAUSE_S */
    /* An idle connection is closed after this time; 0: LIMIT_KEEPALIVE_S. If three quarters of max_connections are
     * open, it is closed after header_timeout_ms. */
    uint64_t keepalive_timeout_ms;
    /* Called for every request when its headers are in, before they are checked, and for a request that is refused
     * earlier. Adds the headers that every answer has, with http_headers_add(). `origin` is the request's Origin; NULL:
     * there is none, or it has not been read. A route must not set these headers again. NULL: there are no such
     * headers. */
    void (*add_headers)(void *admit_data, const char *origin, struct buf *headers);
    /* Called for every request when its headers are checked, before its route is looked up. Returns false after
     * answering it. NULL: all requests are admitted. */
    bool (*admit)(void *admit_data, struct http_exchange *x);
    void *admit_data;
    /* Called for every finished exchange, for metrics and the log; may be NULL. `route` is the template, "" without
     * one. */
    void (*on_done)(void *data, const char *method, const char *route, int status, uint64_t duration_ns);
};

/* Returns NULL on failure, with a sentence in err such as "cannot listen on 127.0.0.1:80: Permission denied". */
MUST_CHECK struct http_server *http_server_start(uv_loop_t *loop, const struct http_server_options *options, char *err,
                                                 size_t err_size);
uint16_t http_server_port(const struct http_server *s); /* 0 for unix:PATH */
/* From now on every answer carries "Connection: close". */
void http_server_drain(struct http_server *s);
/* Stops accepting connections; open exchanges continue. First it refuses new connections. Then it accepts connections
 * that were being established. Then it closes the socket. So no client loses a connection that it had. This takes
 * LIMIT_ARRIVE_MS, so call it again until it returns true. */
MUST_CHECK bool http_server_stop_listening(struct http_server *s);
unsigned http_server_open_exchanges(const struct http_server *s);
/* For a drain: whether the kernel still has bytes of answers that peers have not received. Closed connections count
 * too. If the container's network ended now, these bytes would be lost. */
bool http_server_has_unsent(const struct http_server *s);
/* Closes the connections without an open exchange so that no request is lost on its way. On each connection it sends an
 * answer ahead of any request (503, Connection: close) and then shuts down the sending side. Bytes that still arrive
 * are read and dropped. A peer that has just sent a request takes this as the answer, and knows that the request was
 * not read. Call it after the drain, repeatedly until it returns true. When it returns true, all peers have closed, or
 * have had LIMIT_CLOSE_IDLE_MS to do so. */
MUST_CHECK bool http_server_close_idle(struct http_server *s);
/* Ends all open exchanges (closed() with HTTP_CLOSED_SHUTDOWN) and frees the server. The loop must keep running until
 * the handles are closed. NULL is fine. */
void http_server_stop(struct http_server *s);

/* The request. Strings are borrowed until closed(). */
const char *http_exchange_method(const struct http_exchange *x);
const char *http_exchange_path(const struct http_exchange *x);
/* The part of the path that matched {name} of the template, percent-decoded. */
const char *http_exchange_param(const struct http_exchange *x, const char *name);
/* A query argument, percent-decoded. It is "" if the argument has no value, and NULL if the query does not
 * have the argument. */
const char *http_exchange_query(const struct http_exchange *x, const char *name);
/* Calls fn for every query argument. */
void http_exchange_each_query(struct http_exchange *x, void (*fn)(void *data, const char *name, const char *value),
                              void *data);
/* A header by its name, in upper or lower case; NULL when the request has none. */
const char *http_exchange_header(const struct http_exchange *x, const char *name);
/* Returns how often the request has this header. Appends its values to `joined`, separated by commas, or nothing if
 * they would exceed the cap. `joined` may be NULL. */
unsigned http_exchange_header_all(const struct http_exchange *x, const char *name, struct buf *joined);
/* Writes the numeric address of the peer, without its port. Returns false when the peer has none (a socket file), or
 * has hung up. */
MUST_CHECK bool http_exchange_peer(const struct http_exchange *x, char *text, size_t size);
/* Writes the numeric address and the port that the peer's connection reached: "10.0.0.7:8080" or "[fd00::7]:8080".
 * Returns false when there is none (a socket file). */
MUST_CHECK bool http_exchange_reached(const struct http_exchange *x, char *text, size_t size);
/* The length the client announced, or -1 when it sends chunks. */
int64_t http_exchange_content_length(const struct http_exchange *x);

/* Call it in handle() to send the answer at once, without reading the body. If there is a body, the connection is
 * closed after the answer. */
void http_exchange_leave_body(struct http_exchange *x);

void http_exchange_accept(struct http_exchange *x, const struct http_exchange_ops *ops, void *data);
void *http_exchange_data(const struct http_exchange *x);

/* Adds a header of an answer to `headers`. */
void http_headers_add(struct buf *headers, const char *name, const char *value);
/* To answer, call one of the functions below, once. Set the headers before that. Their values are copied; a second
 * value replaces the first. */
void http_exchange_set_header(struct http_exchange *x, const char *name, const char *value);
void http_answer(struct http_exchange *x, int status, const char *content_type, const char *body, size_t len);
#define HTTP_ETAG_SIZE 24
/* Writes the ETag of a body, which needs a size of HTTP_ETAG_SIZE. */
void http_etag_write(char *etag, size_t size, const char *body, size_t len);
/* Answers 200 with the body and its ETag. If the client has this body already (If-None-Match), answers 304. */
void http_answer_tagged(struct http_exchange *x, const char *content_type, const char *body, size_t len);
/* The bytes come from pull() of the accepted ops. The head is sent together with the first bytes. An answer that ends
 * within its first pieces has a Content-Length and is sent in one piece. */
void http_answer_stream(struct http_exchange *x, int status, const char *content_type);
/* Sends the head of a streamed answer now, before there are bytes. Does nothing when the head has been sent. */
void http_exchange_send_head(struct http_exchange *x);
/* application/problem+json: {"type":"about:blank","title":"...","status":N,"detail":"..."}. `members` is NULL, or
 * further JSON members such as "\"pointer\":\"/items\",\"offset\":17". */
void http_answer_problem(struct http_exchange *x, int status, const char *members, const char *detail_fmt, ...)
    PRINTF_LIKE(4, 5);
/* For a call without query parameters: answers with 400 if the request has one, and returns false. hint(name) says what
 * the client may have meant by that parameter, or returns NULL. `hint` may be NULL. */
MUST_CHECK bool http_check_no_query(struct http_exchange *x, const char *(*hint)(const char *name));
/* Like http_check_no_query(), for a call whose only query parameter is `known`. */
MUST_CHECK bool http_check_query(struct http_exchange *x, const char *known, const char *(*hint)(const char *name));
/* Like http_check_no_query(), for a call that has the query parameters `known`. `known` ends with NULL. A parameter may
 * be given once. */
MUST_CHECK bool http_check_queries(struct http_exchange *x, const char *const *known,
                                   const char *(*hint)(const char *name));
bool http_exchange_answered(const struct http_exchange *x);
/* The status of the answer; 0 before there is one. */
int http_exchange_status(const struct http_exchange *x);

/* Call it when body() can use more bytes, or pull() has more. The call is cheap, and may be made at any time and more
 * than once. */
void http_exchange_wake(struct http_exchange *x);

#endif
