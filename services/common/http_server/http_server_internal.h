/*
 * What the files of the HTTP server share: http_server.c (the daemon inside the loop), http_connection.c (sockets:
 * hang-ups and deadlines), http_exchange.c (one request and its answer), http_request.c (reading and judging the
 * head), http_routes.c (templates), http_problem.c (errors), http_library.c (errors the library makes), http_linger.c
 * (closing without cutting off the answer), http_tls.c (sessions of https). Nobody else includes this.
 *
 * Everything that libmicrohttpd calls happens inside MHD_run(), which only server_turn() calls, or inside
 * MHD_stop_daemon(). Our own functions never run the daemon; they ask for a turn with http_server_want_turn().
 */
#ifndef FANTAIL_COMMON_HTTP_SERVER_HTTP_SERVER_INTERNAL_H
#define FANTAIL_COMMON_HTTP_SERVER_HTTP_SERVER_INTERNAL_H

#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <stdarg.h>

#include "common/base/limits.h"
#include "common/http_server/http_server.h"
#include "common/loop/turn.h"
#include "common/net/tls_material.h"

#define HTTP_PARAMS 4 /* {names} in one route template */

struct http_param {
    const char *name;
    size_t name_len;
    const char *value; /* decoded, in the exchange's params_text */
};

struct http_connection {
    struct http_server *server;
    struct MHD_Connection *mhd;
    struct http_connection *next, *prev;
    struct http_exchange *exchange; /* NULL between requests */
    int fd;
    bool peer_shut;                /* the peer's FIN came: it closed, or will only listen */
    bool probed;                   /* an interim answer is out that a closed peer refuses */
    bool peer_gone;                /* certainly closed */
    bool cut;                      /* we gave it up: only its end is awaited */
    bool parted;                   /* http_server_part(): answered and shut for sending, read until the peer closes */
    uint64_t counted_bytes;        /* of all requests so far, heads and announced bodies */
    bool uncounted;                /* a chunked body: its bytes on the wire are not known */
    uint64_t seen_in_turn;         /* the server's turn in which the library last spoke of it, or we woke it */
    bool lingers;                  /* its last answer went out before the body was read */
    bool used;                     /* has had a request: it may be idle for the keep-alive time */
    uint64_t since_ms;             /* what is awaited now (a head, a step of the body) is awaited since then */
    uint64_t head_began_ms;        /* a kept connection brought the start of another head by then; 0: nothing yet */
    gnutls_session_t tls;          /* the library's; NULL without TLS */
    struct tls_material *material; /* what the session began with */
    uint8_t tls_alert;             /* what the peer cried in clear text; 0: nothing */
    bool tls_begun;                /* its first byte was seen */
    bool tls_waits;                /* suspended until bytes come */
    bool tls_ended;                /* the peer sends nothing more */
    bool tls_told;                 /* its fault is logged */
    bool tls_client_known;         /* the peer's certificate is good */
};

enum http_tls_fault {
    HTTP_TLS_NO_CERTIFICATE,
    HTTP_TLS_BAD_CERTIFICATE,
    HTTP_TLS_PLAIN,
    HTTP_TLS_REFUSED_BY_CLIENT,
    HTTP_TLS_TOO_SLOW,
    HTTP_TLS_OTHER,
    HTTP_TLS_FAULT_COUNT
};

struct http_tls {
    struct http_connection *reading; /* whose bytes the library asked for last; NULL when it is gone */
    uint64_t *failures[HTTP_TLS_FAULT_COUNT];
    uint64_t log_since_ms, unlogged;
    unsigned logged;
};

enum http_stage {
    HTTP_STAGE_HEAD,   /* the request line is in, headers are arriving */
    HTTP_STAGE_BODY,   /* the route has it, the body is arriving */
    HTTP_STAGE_WHOLE,  /* the request is whole, the answer is awaited */
    HTTP_STAGE_ANSWER, /* the answer is with libmicrohttpd */
};

struct http_exchange {
    struct http_server *server;
    struct http_connection *connection;
    struct http_exchange *next_free;
    enum http_stage stage;
    bool suspended, woken;
    bool parked;     /* suspended until the server's next turn */
    bool streamed;   /* the answer comes from pull() */
    bool head_now;   /* and does not wait for its first bytes */
    bool must_close; /* answer at once and close: what follows on this connection cannot be trusted */
    bool dead;       /* the client is gone: nothing more is asked of the route */
    bool is_head, is_http_1_0, has_body, expects_continue, query_parsed;
    int status;
    size_t uri_bytes;
    int64_t content_length; /* -1: chunked */
    uint64_t body_bytes, body_step_bytes;
    uint64_t start_ns;
    uint64_t stepped_in_turn; /* the server's turn in which it last brought or took bytes */
    struct http_exchange *next_parked;
    const char *method, *path;
    const struct http_route *route;
    struct http_param params[HTTP_PARAMS];
    unsigned param_count;
    struct buf params_text;
    const struct http_exchange_ops *ops;
    void *data;
    struct buf headers; /* name NUL value NUL ... */
    struct MHD_Response *response;
    ssize_t pull_end; /* HTTP_PULL_END or _ABORT seen behind bytes already given; else 0 */
    struct buf early; /* the first bytes of a stream, pulled before its head left */
    size_t early_used;
};

/* A connection that was closed during the drain while its peer was still receiving: a copy of its descriptor. */
struct http_leaver {
    struct http_leaver *next;
    int fd;
};

struct http_server {
    uv_loop_t *loop;
    struct http_server_options options;
    struct MHD_Daemon *daemon;
    int listen_fd;
    int watch_fd; /* our epoll set of all sockets, for hang-ups only: edge triggered, so silent in ordinary traffic */
    uint16_t port;
    uv_poll_t daemon_poll, watch_poll;
    uv_timer_t sweep;
    struct turn_step after_poll, before_sleep;
    unsigned open_handles;
    uint64_t turn, turn_ns, previous_turn_ns; /* number and times of the daemon's turns */
    bool turn_wanted, in_turn, draining, stopping;
    bool request_ended; /* the daemon has not settled since */
    bool unfinished;    /* the last turn left something to do */
    struct http_exchange *parked;
    struct http_connection *connections;
    struct http_linger *lingering; /* closed, but for their sockets */
    unsigned lingering_count;
    struct http_leaver *leavers;
    struct http_exchange *free_exchanges;
    unsigned free_count, open_exchanges;
    uint64_t arrive_end_ms; /* when those on their way have arrived; 0: everyone may come */
    uint64_t part_end_ms;   /* when the peers have had time to close; 0: no parting yet */
    char *scratch;          /* HTTP_SCRATCH_BYTES, for the first piece of a streamed answer */
    struct http_tls tls;
};

#define HTTP_SCRATCH_BYTES (32 * KIB)

/* http_server.c */
void http_server_want_turn(struct http_server *s);
/* One of s->open_handles is closed; s may be freed by this. */
void http_server_handle_closed(struct http_server *s);

/* http_connection.c */
void http_connection_notify(void *cls, struct MHD_Connection *mhd, void **context,
                            enum MHD_ConnectionNotificationCode code);
struct http_connection *http_connection_of(struct MHD_Connection *mhd);
/* A suspended exchange's peer closed, perhaps: finds out and ends the exchange if so. */
void http_connection_judge(struct http_connection *c);
void http_connection_watch_event(uv_poll_t *poll, int status, int events);
void http_connection_sweep(uv_timer_t *timer);
/* Writes a whole error answer past libmicrohttpd, for the states in which it takes none (nothing of another answer may
 * be under way), and gives the connection up. */
void http_connection_refuse(struct http_connection *c, int status, const char *detail);
/* The same in a call of libmicrohttpd that makes it close by itself: what the client is still sending is not lost in a
 * reset, which might overtake the answer. */
void http_connection_refuse_in_call(struct http_connection *c, int status, const char *detail);
bool http_connection_has_unsent(int fd);
void http_connection_free_leavers(struct http_server *s);
/* Its part of http_server_part(). */
void http_connection_part(struct http_connection *c);

/* http_linger.c: keeps the socket of a connection that is being closed until its client has read the answer. */
void http_linger_start(struct http_server *s, int fd);
/* Ends those whose time is over. */
void http_linger_sweep(struct http_server *s, uint64_t now_ms);

/* http_exchange.c: the callbacks of libmicrohttpd */
void *http_exchange_on_uri(void *cls, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result http_exchange_on_request(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                                         const char *version, const char *upload, size_t *upload_size, void **context);
void http_exchange_on_completed(void *cls, struct MHD_Connection *mhd, void **context,
                                enum MHD_RequestTerminationCode code);
/* At the beginning of a turn: those that the last one made wait go on. */
void http_exchange_unpark(struct http_server *s);
void http_exchange_free_list(struct http_server *s);

/* http_tls.c. All but http_tls_open() do nothing, or the plain thing, for a connection without TLS. */
void http_tls_start(struct http_server *s);
/* Returns what its socket is to be watched for, beyond hang-ups, until the first request has arrived. */
uint32_t http_tls_open(struct http_connection *c);
void http_tls_arrived(struct http_connection *c);
/* Something has happened to the socket. */
void http_tls_continue(struct http_connection *c);
void http_tls_closed(struct http_connection *c);
/* The library gave up a handshake: says why, to the peer where it can be told and to the log. */
void http_tls_handshake_failed(struct http_server *s);
/* Whether the peer has shown the certificate that is demanded, if one is. */
bool http_tls_admits(const struct http_connection *c);
/* Writes past the library, when nothing of its own is under way. What the peer has no room for is lost. False when the
 * peer is certainly gone. */
bool http_connection_send(struct http_connection *c, const char *data, size_t len);
/* Tells the peer that nothing follows. */
void http_tls_bye(struct http_connection *c);

/* http_library.c: the library's log */
void http_library_log(void *cls, const char *format, va_list args);

/* http_request.c: judges the head; false when x was answered with an error. */
MUST_CHECK bool http_request_check(struct http_exchange *x);
size_t http_percent_decode(char *s);

/* http_routes.c: finds the route and its params, or answers 404 or 405. */
MUST_CHECK bool http_route_find(struct http_exchange *x);

/* http_problem.c */
void http_problem_body(struct buf *b, int status, const char *members, const char *detail);
const char *http_status_title(int status);

#endif
