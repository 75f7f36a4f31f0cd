/*
 * Declarations shared by the files of the HTTP server. Private to http_*.c of this folder:
 *     http_server.c      runs the daemon inside the loop
 *     http_connection.c  the life of a connection, and error answers that bypass the daemon
 *     http_wire.c        sees every byte before the library receives it
 *     http_framing*.c    the rules for these bytes
 *     http_progress.c    ends connections that keep the daemon busy without moving bytes
 *     http_peer.c        finds out whether the peer of a connection is still there
 *     http_deadline.c    ends connections that are too slow
 *     http_exchange.c    one exchange: its life, and the body of its request
 *     http_answer.c      the answer of an exchange
 *     http_request.c     checks and reads the head of a request
 *     http_routes.c      finds the route of a request
 *     http_problem.c     error documents
 *     http_library.c     replaces the error answers of the library
 *     http_linger.c      keeps a socket until its client has read the answer
 *     http_tls.c         the sessions of https
 *
 * libmicrohttpd calls us only inside MHD_run() and MHD_stop_daemon(). Only server_turn() calls MHD_run(). Our other
 * functions never run the daemon. Instead, they ask for a turn with http_server_want_turn().
 */
#ifndef FANTAIL_COMMON_HTTP_SERVER_HTTP_SERVER_INTERNAL_H
#define FANTAIL_COMMON_HTTP_SERVER_HTTP_SERVER_INTERNAL_H

#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <sys/epoll.h>

#include "common/base/limits.h"
#include "common/base/list.h"
#include "common/http_server/http_framing.h"
#include "common/http_server/http_server.h"
#include "common/loop/turn.h"
#include "common/net/tls_material.h"

#define HTTP_PARAMS        4 /* maximum number of {names} in one route template */
#define HTTP_SCRATCH_BYTES (32 * KIB)

/*
 *     OPEN --http_server_close_idle()--> CLOSE_SENT
 *      |                                      |
 *      +--refused, or too slow--> CUT <-------+
 *
 * In every state, the connection ends when its peer closes.
 */
enum http_connection_state {
    HTTP_CONNECTION_OPEN,
    HTTP_CONNECTION_CLOSE_SENT, /* an unsolicited answer was sent; our sending side is shut down; bytes are still
                                   read */
    HTTP_CONNECTION_CUT,        /* both directions are shut down; the library is about to close the connection */
    HTTP_CONNECTION_STATE_COUNT
};

/*
 * What is known about the peer after its FIN. A FIN may come from a peer that closed, or from a peer that only shut
 * down its sending side and still reads.
 *
 *     HERE --FIN--> SHUT --an interim answer is sent--> PROBED --reset--> GONE
 *      +-------------+---------------reset---------------------------------^
 */
enum http_peer {
    HTTP_PEER_HERE,
    HTTP_PEER_SHUT,   /* the peer sent a FIN */
    HTTP_PEER_PROBED, /* an interim answer was sent after the FIN; a peer that has closed answers it with a reset */
    HTTP_PEER_GONE,   /* the peer has certainly closed */
    HTTP_PEER_COUNT
};

/*
 *     SILENT --first byte--> HANDSHAKE --the client's certificate is good--> KNOWN
 *        |                       |                                             |
 *        +-----------------------+--the handshake fails--> FAILED <------------+
 *
 * A connection that is refused before its handshake is FAILED too.
 *
 * If no certificates are required, a good session stays in HANDSHAKE. Without TLS a connection stays SILENT.
 */
enum http_tls_state {
    HTTP_TLS_SILENT,
    HTTP_TLS_HANDSHAKE,
    HTTP_TLS_KNOWN,
    HTTP_TLS_FAILED, /* a fault was counted and logged, or the connection was refused; further faults are ignored */
    HTTP_TLS_STATE_COUNT
};

/*
 *     RUNS --the socket has no byte of the handshake--> WAITS --bytes come--> RUNS
 *     RUNS --the handshakes of the turn take long--> PARKED --a later turn--> RUNS
 */
enum http_tls_flow {
    HTTP_TLS_RUNS,
    HTTP_TLS_WAITS,  /* suspended until bytes of the handshake arrive */
    HTTP_TLS_PARKED, /* suspended until a later turn */
    HTTP_TLS_FLOW_COUNT
};

struct http_param {
    const char *name;
    size_t name_len;
    const char *value; /* the decoded value, in the exchange's params_text */
};

struct http_connection {
    struct http_server *server;
    struct MHD_Connection *mhd;
    struct http_connection *next, *prev;
    struct http_exchange *exchange; /* NULL between requests */
    int fd;
    enum http_connection_state state;
    enum http_peer peer;
    bool used;                   /* a request has arrived, so the connection may be idle for the keep-alive time */
    bool lingers;                /* the last answer was sent before the request's body was read */
    struct http_framing framing; /* checks the bytes that were received */
    uint64_t heads, answered;    /* how many requests the library has begun and ended; `framing` may have read more */
    uint64_t since_ms;           /* when the server began to wait for the next head, or for more of the body */
    uint64_t head_began_ms;      /* when the first byte of the next head arrived; 0: it has not arrived yet */
    void *first_data;            /* where the library put the first bytes */
    void *memory;                /* where the library will put the next head; NULL: unknown */
    struct epoll_event
        watch;              /* the events that the library watches the socket for; none: it does not watch the socket */
    bool watched_for_room;  /* the library's epoll set reports when the socket has room to send */
    bool has_room;          /* the library's last call of send() sent all bytes; false before the first call */
    uint64_t moved_in_turn; /* the server's turn in which the connection last received, sent or handed over bytes */
    uint64_t ended_in_turn; /* the turn in which http_peer.c last made the library read the end; 0: never */
    uint64_t still_in_turn; /* the turn in which the connection became suspect (http_progress.c); 0: not suspect */

    gnutls_session_t tls; /* the library's session; NULL without TLS */
    enum http_tls_state tls_state;
    struct tls_material *material; /* the certificates of the session */
    uint8_t tls_alert;             /* an alert that the peer sent in clear text; 0: none */
    enum http_tls_flow tls_flow;
    struct list_link tls_link; /* in the server's tls.parked, while tls_flow is PARKED */
    bool tls_ended;            /* the peer sends nothing more */
};

enum http_tls_fault {
    HTTP_TLS_FAULT_NO_CERTIFICATE,
    HTTP_TLS_FAULT_BAD_CERTIFICATE,
    HTTP_TLS_FAULT_PLAIN,
    HTTP_TLS_FAULT_REFUSED_BY_CLIENT,
    HTTP_TLS_FAULT_TOO_SLOW,
    HTTP_TLS_FAULT_OTHER,
    HTTP_TLS_FAULT_COUNT
};

struct http_tls {
    uint64_t *failures[HTTP_TLS_FAULT_COUNT];
    uint64_t log_since_ms, unlogged;
    unsigned logged;
    struct list parked;      /* connections whose handshakes wait for a later turn */
    uint64_t handshake_turn; /* the server's turn in which a record of a handshake was last read */
};

/*
 *     HEAD --the headers are in--> BODY --the body is whole--> WHOLE --there is an answer--> ANSWER
 *                                   |                                                          ^
 *                                   +----an answer that does not wait for the body-------------+
 *
 *     BODY, WHOLE, ANSWER --the client is gone--> GONE
 *
 * closed() is called exactly once for an exchange that has left HEAD.
 */
enum http_stage {
    HTTP_STAGE_HEAD,   /* the request line has arrived, and the headers are arriving */
    HTTP_STAGE_BODY,   /* the headers are complete, and the body is arriving */
    HTTP_STAGE_WHOLE,  /* the request is complete, and the route has not answered yet */
    HTTP_STAGE_ANSWER, /* the answer was passed to libmicrohttpd */
    HTTP_STAGE_GONE,   /* the client is gone: the route is no longer called */
    HTTP_STAGE_COUNT
};

/*
 *     RUNS --the route cannot go on--> WAITS --http_exchange_wake()--> WOKEN --a turn--> RUNS
 *     RUNS --the turn has been long--> PARKED --the next turn--------> RUNS
 */
enum http_flow {
    HTTP_FLOW_RUNS,
    HTTP_FLOW_WAITS,  /* suspended until http_exchange_wake() */
    HTTP_FLOW_WOKEN,  /* suspended until http_exchange_resume_woken() */
    HTTP_FLOW_PARKED, /* suspended until the server's next turn */
    HTTP_FLOW_COUNT
};

struct http_exchange {
    struct http_server *server;
    struct http_connection *connection;
    struct http_exchange *next_free, *next_parked, *next_woken;
    enum http_stage stage;
    enum http_flow flow;
    bool woken;    /* http_exchange_wake() was called since the route was last called */
    bool streamed; /* the answer comes from pull() */
    bool head_now; /* the head of a streamed answer is sent without waiting for the first bytes */
    /* The answer is sent without reading the rest of the body, and the connection is then closed. */
    bool must_close;
    bool has_body; /* the request has a body */
    bool is_head;  /* the method is HEAD */
    bool is_http_1_0;
    bool expects_continue;  /* the client sends the body only after "100 Continue" */
    int status;             /* status of the answer; 0: there is no answer yet */
    int64_t content_length; /* -1: chunked */
    uint64_t body_bytes;
    uint64_t start_ns;
    uint64_t stepped_in_turn; /* the server's turn in which http_exchange_park() was last called */
    const char *method, *path;
    const struct http_route *route;
    struct http_param params[HTTP_PARAMS];
    unsigned param_count;
    struct buf params_text;
    const struct http_exchange_ops *ops;
    void *data;
    struct buf headers;       /* headers of the answer: name NUL value NUL ... */
    size_t first_headers_len; /* length of the headers that every answer to this request has */
    struct MHD_Response *response;
    ssize_t pull_end; /* HTTP_PULL_END or HTTP_PULL_ABORT, if pull() has returned it; else 0 */
    struct buf early; /* the first bytes of a stream, which were pulled before its head was sent */
    size_t early_used;
};

/* The socket of a connection that was closed during the drain while its peer was still receiving. `fd` is a copy of its
 * descriptor. */
struct http_unsent_socket {
    struct http_unsent_socket *next;
    int fd;
};

struct http_server {
    uv_loop_t *loop;
    struct http_server_options options;
    struct MHD_Daemon *daemon;
    int listen_fd;
    int daemon_fd; /* the library's epoll set */
    int watch_fd;  /* our edge-triggered epoll set of all sockets, for hang-ups and TLS handshakes */
    uint16_t port;
    uv_poll_t daemon_poll, watch_poll;
    uv_timer_t sweep;
    uv_timer_t resume_timer; /* fires when woken exchanges may be resumed */
    struct turn_step after_poll, before_sleep;
    unsigned open_handles;
    uint64_t turn, turn_ns; /* number of the server's turn, and the time when it began */
    bool turn_wanted, in_turn, draining, stopping;
    bool room_is_reported; /* the daemon has not run since it began to watch an idle connection for room to send */
    bool unfinished;       /* the last turn left some work undone */
    struct http_exchange *parked;
    struct http_exchange *woken;
    unsigned waiting;        /* number of exchanges in HTTP_FLOW_WAITS or HTTP_FLOW_WOKEN */
    uint64_t resume_from_ns; /* woken exchanges are resumed from this time on */
    struct http_connection *connections;
    unsigned connection_count;
    struct http_connection **by_fd; /* the connection of each descriptor below by_fd_size; NULL: none */
    size_t by_fd_size;
    struct http_connection *current; /* the connection that the library last read from or called us for; NULL: it
                                        is gone */
    uint64_t memory_short_ms;        /* when a connection was last refused because memory was short; 0: never */
    uint64_t busy_turns;             /* number of turns since the daemon last finished its work */
    uint64_t progress_check_ms;      /* when http_progress.c last checked the connections */
    struct http_linger *lingering;   /* closed connections whose sockets are kept open */
    unsigned lingering_count;
    struct http_unsent_socket *unsent;
    struct http_exchange *free_exchanges;
    unsigned free_count, open_exchanges;
    uint64_t arrive_end_ms;     /* when the server stops accepting; 0: it was not asked to stop */
    uint64_t close_idle_end_ms; /* the deadline for peers to close idle connections; 0: not set yet */
    char *scratch;              /* HTTP_SCRATCH_BYTES, for the first piece of a streamed answer */
    struct http_tls tls;
};

/* http_server.c */
void http_server_want_turn(struct http_server *s);
/* Call it when one of s->open_handles has been closed. Frees s when the last of these handles has been closed. */
void http_server_handle_closed(struct http_server *s);

/* http_connection.c */
void http_connection_notify(void *cls, struct MHD_Connection *mhd, void **context,
                            enum MHD_ConnectionNotificationCode code);
struct http_connection *http_connection_of(struct MHD_Connection *mhd);
/* Shuts down both directions of the connection, so that the library closes it. */
void http_connection_cut(struct http_connection *c);
/* Writes a whole error answer to the socket, without libmicrohttpd, and cuts the connection. Use it in states in which
 * the library accepts no answer, and only before another answer has begun. */
void http_connection_refuse(struct http_connection *c, int status, const char *detail);
/* Like http_connection_refuse(), but for use inside a callback of libmicrohttpd, after which the library closes the
 * connection. Bytes that still arrive from the client are read and dropped, because otherwise a reset could overtake
 * the answer. */
void http_connection_refuse_in_call(struct http_connection *c, int status, const char *detail);
/* Gives the memory of an idle connection back to the kernel, if this has not happened since the last request of the
 * connection. Returns true if there was such memory. */
bool http_connection_free_memory(struct http_connection *c);
/* Calls http_connection_refuse_in_call() for a request that breaks a rule or a limit, and counts the request. */
void http_connection_reject(struct http_connection *c, int status, const char *detail);
/* Like http_server_close_idle(), for one connection. */
void http_connection_close_idle(struct http_connection *c);
/* Returns whether the kernel still has bytes that were sent on this socket and that the peer has not received. */
bool http_connection_has_unsent(int fd);
void http_connection_free_unsent(struct http_server *s);

/* http_wire.c */
/* Returns false when the library's calls to recv() and send() do not reach our functions. */
MUST_CHECK bool http_wire_works(void);
/* Call these before and after each run of the daemon. */
void http_wire_enter(struct http_server *s);
void http_wire_leave(void);
void http_wire_add(struct http_connection *c);
void http_wire_remove(struct http_connection *c);
/* Call it when the library has ended a request of this connection. */
void http_wire_answered(struct http_connection *c);

/* http_progress.c */
void http_progress_start(void);
/* Call it after each turn. From time to time, this function ends connections that keep the daemon busy without moving
 * bytes. */
void http_progress_after_turn(struct http_server *s, bool more);

/* http_peer.c */
/* Ends the exchange of a suspended connection if the peer has closed. To find out whether the peer has closed, this
 * function may first probe the peer. After a FIN between two requests, makes the library read the end of the
 * connection. */
void http_peer_check(struct http_connection *c);
void http_peer_on_event(uv_poll_t *poll, int status, int events);

/* http_deadline.c */
void http_deadline_sweep(uv_timer_t *timer);

/* http_linger.c: keeps the socket of a closed connection until its client has read the answer. */
void http_linger_start(struct http_server *s, int fd);
/* Closes the sockets that have lingered long enough. */
void http_linger_sweep(struct http_server *s, uint64_t now_ms);

/* http_exchange.c: the callbacks of libmicrohttpd */
void *http_exchange_on_uri(void *cls, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result http_exchange_on_request(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                                         const char *version, const char *upload, size_t *upload_size, void **context);
void http_exchange_on_completed(void *cls, struct MHD_Connection *mhd, void **context,
                                enum MHD_RequestTerminationCode code);
void http_exchange_move(struct http_exchange *x, enum http_stage to);
/* Call it only inside a callback of libmicrohttpd. */
void http_exchange_suspend(struct http_exchange *x);
/* If this turn has lasted long and x was already served in it, makes x wait for the server's next turn and returns
 * true. Otherwise returns false. */
bool http_exchange_park(struct http_exchange *x);
/* Resumes the woken exchanges. But if many exchanges are suspended and a batch was resumed a moment ago, this function
 * only asks for another turn soon. */
void http_exchange_resume_woken(struct http_server *s);
/* Resumes the exchanges that were parked in the last turn. Call it at the beginning of a turn. */
void http_exchange_unpark(struct http_server *s);
void http_exchange_free_list(struct http_server *s);

/* http_answer.c: passes the answer to libmicrohttpd, or waits for the first bytes of a stream. Call it only inside
 * http_exchange_on_request(). */
enum MHD_Result http_answer_send(struct http_exchange *x);

/* http_tls.c. Without TLS, http_connection_send() is send(), and the other functions do nothing. */
void http_tls_start(struct http_server *s);
/* Prepares the session of a new connection. Returns the events, besides hang-ups, that our epoll set must report until
 * the first request has arrived. */
uint32_t http_tls_open(struct http_connection *c);
/* Call it when a request arrives. At the first request, our epoll set stops reporting the events of http_tls_open(). */
void http_tls_arrived(struct http_connection *c);
/* Call it after an event of the socket. If a handshake waits for bytes, continues the handshake. */
void http_tls_continue(struct http_connection *c);
/* Continues some of the handshakes that were parked. Call it at the beginning of a turn. */
void http_tls_unpark(struct http_server *s);
void http_tls_closed(struct http_connection *c);
/* Call it when the connection is refused before its handshake, so that the failure of the handshake is not reported. */
void http_tls_refused(struct http_connection *c);
/* Call it when the library has given up a handshake. Reports the reason to the log, and to the peer if possible. */
void http_tls_handshake_failed(struct http_server *s);
/* Returns whether the connection may send requests. Returns false if the server demands a certificate and the peer has
 * not sent a valid one. */
bool http_tls_admits(const struct http_connection *c);
/* Writes to the socket without the library. Do not call it while the library is sending. Bytes that do not fit in the
 * socket's buffer are lost. Returns false when the peer is certainly gone. */
bool http_connection_send(struct http_connection *c, const char *data, size_t len);
/* Tells the peer that no more bytes follow. */
void http_tls_bye(struct http_connection *c);

/* http_library.c: the library's log */
void http_library_log(void *cls, const char *format, va_list args);

/* http_request.c: checks the head. On a fault, answers x with an error and returns false. */
MUST_CHECK bool http_request_check(struct http_exchange *x);
size_t http_percent_decode(char *s);
/* Decodes in place. If the result is not text, returns what is wrong with it, such as "is not valid UTF-8"; NULL:
 * nothing is wrong. */
const char *http_text_decode(char *s);
/* Decodes the query. If a name or a value is not text, answers with 400 and returns false. */
MUST_CHECK bool http_request_read_query(struct http_exchange *x);
/* Returns the path of a request target in origin or absolute form. The path is a part of `url`, or a static string. */
const char *http_request_path(const char *url);

/* http_routes.c: finds the route and its params, or answers with 404 or 405. If the path is not text, answers with
 * 400. */
MUST_CHECK bool http_route_find(struct http_exchange *x);

/* http_problem.c */
/* Returns the detail text for an error that the server reports by itself, without a route. */
const char *http_problem_detail(int status);
/* Answers with 413 and the length of the body. */
void http_answer_body_too_long(struct http_exchange *x);
/* Appends the member that points at a query parameter: "/retry/on" for retry.on. */
void http_pointer_member(struct buf *members, const char *parameter);
void http_problem_body(struct buf *b, int status, const char *members, const char *detail);
const char *http_status_title(int status);

#endif
