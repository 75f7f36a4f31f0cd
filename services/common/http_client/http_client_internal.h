/*
 * Declarations shared by the files of the HTTP client. Private to http_client*.c:
 *     http_client.c          the interface; moves calls between their lists and reports their ends
 *     http_client_call.c     handles the parts of an answer
 *     http_client_curl.c     loads curl and starts it, when it is first needed
 *     http_client_easy.c     sets up curl's easy handles
 *     http_client_request.c  writes requests of plain http
 *     http_client_exchange.c sends requests of plain http, and reads their answers
 *     http_client_wire.c     connections of plain http
 *     http_client_pool.c     spreads curl's kept connections over pools
 *     http_client_end.c      classifies how a call ended
 *     http_client_tls.c      certificates and TLS faults
 *     http_client_loop.c     the client's steps in a loop turn, and curl's timer
 *     http_client_socket.c   curl's sockets in the loop
 *     http_client_long.c     long answers, which are read in turns
 */
#ifndef FANTAIL_COMMON_HTTP_CLIENT_HTTP_CLIENT_INTERNAL_H
#define FANTAIL_COMMON_HTTP_CLIENT_HTTP_CLIENT_INTERNAL_H

#include "common/base/buf.h"
#include "common/base/list.h"
#include "common/http_client/http_answer.h"
#include "common/http_client/http_client.h"
#include "common/loop/turn.h"
#include "common/net/curl_library.h"

/*
 * The client has a list of calls for each state. Each call is on the list for the call's state.
 *
 *     SPARE --http_call_start()--> NEW --curl is free--> RUNNING --curl is done, or silence--> ENDED --> SPARE
 *                                   |                       |
 *                                   |                       +--http_call_cancel(), curl busy--> CANCELLED --> SPARE
 *                                   |                       +--http_call_cancel(), curl free--> SPARE
 *                                   +--http_call_cancel()--> SPARE
 */
enum call_state {
    CALL_SPARE,     /* unused; its easy handle waits for the next call */
    CALL_NEW,       /* will begin when curl is not busy */
    CALL_RUNNING,   /* curl has the call, or the call has a wire */
    CALL_CANCELLED, /* will be detached when curl is not busy; until then its callbacks refuse all data */
    CALL_ENDED,     /* removed from curl and its wire; on_end is running */
    CALL_STATE_COUNT
};

/*
 * How an answer is read. Calls with a long answer take turns. A call that waits for its turn is in a queue.
 *
 *     SHORT --SHORT_BYTES read--> HELD --its turn--> LONG --its socket is readable--> READY --its turn--> LONG
 *                                  ^                   |                                |
 *                                  +---TURN_BYTES read-+--------------------------------+
 *
 * Each new call begins in SHORT. A call on plain http becomes READY instead of HELD: our own code reads the socket of
 * such a call, so there is no curl transfer that must be paused.
 */
enum call_flow {
    CALL_FLOW_SHORT, /* read as soon as its socket is readable */
    CALL_FLOW_LONG,  /* read in turns; when its socket is readable, the call joins the queue */
    CALL_FLOW_READY, /* in the queue; its socket has bytes to read */
    CALL_FLOW_HELD,  /* in the queue; curl does not read it until its turn */
    CALL_FLOW_COUNT
};

#define HTTP_CLIENT_POOLS             128
#define HTTP_CLIENT_KEPT_LISTS        256
#define HTTP_CLIENT_MAX_KEPT          4096
#define HTTP_CLIENT_POSTPONED_WATCHED 512 /* wires that stay watched while they wait for a later turn */
#define HTTP_CLIENT_RECEIVE_BYTES     (64 * 1024)
#define HTTP_CLIENT_IDLE_MS           60000
#define HTTP_CALL_HEAD_BYTES          HTTP_ANSWER_HEAD_BYTES /* maximum size of the header lines of an answer */

struct http_call {
    struct http_call *next, *prev;
    struct http_client *client;
    enum call_state state;
    enum call_flow flow;
    uint64_t number; /* number of the call in debug lines */
    CURL *easy;
    CURLSH *pool;                     /* the pool that the easy handle uses; NULL: the handle has no pool yet */
    struct http_call_options options; /* pointers to the caller's strings are invalid after http_call_start() */
    CURLU *url;                       /* the parsed URL; NULL: not made yet */
    struct buf url_text;              /* the text that `url` was parsed from; empty when that text cannot be parsed */
    struct curl_slist *headers, *connect_to;
    struct buf head; /* the answer's header lines, NUL-ended, without the status line */
    int status;
    bool head_whole;    /* the answer's head has ended */
    bool closes;        /* the answer has Connection: close */
    bool close_after;   /* the connection must be closed when the call has ended */
    bool refused;       /* on_body returned false */
    bool may_repeat;    /* the request may be sent again: a GET or HEAD without a body */
    uint64_t heard_ms;  /* when bytes were last received or sent, uv_now() */
    int fd;             /* the socket of the call; valid after curl has named it */
    unsigned sendings;  /* how often curl called call_on_sending() */
    size_t turn_bytes;  /* bytes of the answer that were read in this turn of the call */
    long upload_bytes;  /* size of the easy handle's upload buffer */
    long receive_bytes; /* size of the easy handle's receive buffer */
    struct buf small;   /* a body that is small enough to be sent together with the head */
    struct http_call *next_long;
    struct tls_material *material; /* the certificates that the easy handle uses; NULL: none */
    char error[CURL_ERROR_SIZE];
    char reason[CURL_ERROR_SIZE + 64]; /* the reason of the result, if it is composed of several texts */

    /* The fields below are for requests of plain http, which we write ourselves. For requests of plain http, curl only
     * makes the connections. Connections to socket files are made without curl. */
    bool is_plain;
    struct http_wire *wire; /* NULL: the call has no connection yet */
    bool reused;            /* the wire was used by an earlier call */
    bool keeps_wire;        /* the wire may be kept for another call */
    bool cannot_send;       /* the peer takes no more bytes of the request */
    bool is_head;           /* the method is HEAD */
    bool is_loaded;         /* a piece of the body is in `request` */
    struct buf request;     /* the head of the request, and a piece of its body */
    size_t request_sent;    /* bytes of `request` that were sent */
    uint64_t sent_bytes;    /* bytes of the whole request that were sent */
    int64_t body_left;      /* bytes of the body that read() has yet to return */
    struct buf target;      /* the URL; `options.url` points to it */
    struct buf address;     /* `options.connect_to`, or the host and port of the URL; the key of kept wires */
    struct http_answer answer;
};

struct call_list {
    struct http_call *first, *last;
    size_t count;
};

/* A connection of plain http. Either a call uses the connection, or the connection is kept for the next call. */
struct http_wire {
    uv_poll_t poll;
    struct http_client *client;
    struct http_call *call; /* NULL: none */
    struct list_link same_hash, by_age;
    bool is_kept; /* the wire is on both lists of kept wires */
    struct list_link postponed_link;
    int postponed;      /* events that wait for a later turn; the wire is then on client->postponed; 0: none */
    int watched_before; /* the events to watch again in that later turn; 0: the wire is still watched */
    int fd;
    int watched; /* the events that libuv watches */
    char *address;
    uint64_t hash; /* hash of the address */
    uint64_t made_ms, kept_ms;
};

struct client_socket;

struct http_client {
    uv_loop_t *loop;
    struct http_client_options options;
    CURLM *multi;                             /* NULL: curl has not been needed yet */
    CURLSH *pools[HTTP_CLIENT_POOLS];         /* kept connections; made when they are first used */
    struct list kept[HTTP_CLIENT_KEPT_LISTS]; /* kept wires by the hash of their address, the latest first */
    struct list kept_by_age;                  /* all kept wires, the oldest first */
    struct list postponed;                    /* wires whose events wait for the next turn, the oldest first */
    char *room;                               /* buffer for the bytes of one recv(); NULL: not allocated yet */
    struct call_list calls[CALL_STATE_COUNT];
    uint64_t started; /* number of calls so far */
    unsigned busy;    /* above 0 while curl or client_settle() runs; other work waits for client_settle() */
    bool freed;

    uv_timer_t curl_timer, silence_timer;
    uint64_t silence_deadline_ms; /* when silence_timer fires; 0: it does not run */
    struct turn_step after_poll, long_answers, before_sleep;
    bool kicked;       /* client_kick() was called; the loop does not sleep until run_kicks() has run */
    bool callback_ran; /* a callback of a call has run since the step before sleep began */
    bool due;          /* curl asked for a timer of 0 ms */
    unsigned added;    /* calls that were added to curl and that it has not run yet; may include cancelled ones */
    /* In this turn, the client handles socket events until events_end_ns, and begins new calls until calls_end_ns. 0:
     * the client has not done this in this turn yet. */
    uint64_t events_end_ns, calls_end_ns;
    struct client_socket **sockets; /* indexed by descriptor */
    size_t sockets_count;
    struct http_call *first_long, **last_long; /* the queue of long answers */
    unsigned open_handles;                     /* libuv's handles that are not closed yet */
};

static inline bool call_is_over(const struct http_call *call)
{
    return call->state != CALL_RUNNING;
}

/* http_client.c */
void call_move(struct http_call *call, enum call_state to);
/* Reports the end of a call. Do not use the call afterwards. The client must be marked as busy. */
void call_end(struct http_call *call, const struct http_call_result *result);
void call_add_to_curl(struct http_call *call);
/* Carries out the steps that were postponed while curl was busy, and reports the calls that ended. Does nothing while
 * curl is busy. */
void client_settle(struct http_client *c);
/* Resumes a held answer. curl must not be busy, but the client must be marked as busy. */
void call_resume(struct http_call *call);

/* http_client_call.c: curl's callbacks. `call` is a struct http_call. */
size_t call_on_header(char *line, size_t size, size_t count, void *call);
size_t call_on_write(char *bytes, size_t size, size_t count, void *call);
size_t call_on_read(char *dst, size_t size, size_t count, void *call);
int call_on_sending(void *call, char *peer_ip, char *own_ip, int peer_port, int own_port);
/* Takes a part of an answer, from curl or from a wire: a line of its head, or a piece of its body. Returns false if the
 * call was cancelled, on_body refused the piece, or the head is too large; `error` is set only if the head is too
 * large. */
MUST_CHECK bool call_on_head_line(struct http_call *call, const char *line, size_t len);
MUST_CHECK bool call_on_piece(struct http_call *call, const char *bytes, size_t len);

/* http_client_request.c: writes the head of the request. Returns false if curl must make the request instead. */
MUST_CHECK bool call_write_request(struct http_call *call, const struct http_call_options *options);

/* http_client_exchange.c; the client must be marked as busy, except for exchange_on_events() and
 * exchange_read_turn(). */
void exchange_begin(struct http_call *call);     /* uses a kept wire or a new one */
void exchange_connect(struct http_call *call);   /* uses a new wire */
void exchange_connected(struct http_call *call); /* curl has made the connection */
void exchange_on_events(struct http_call *call, int events);
void exchange_read_turn(struct http_call *call);

/* http_client_wire.c */
/* Takes ownership of the descriptor. Returns NULL if libuv does not accept the descriptor; the caller then still owns
 * the descriptor. */
MUST_CHECK struct http_wire *wire_new(struct http_call *call, int fd);
/* Returns a kept wire to the address of the call; NULL: there is none. */
MUST_CHECK struct http_wire *wire_take(struct http_call *call);
void wire_keep(struct http_wire *w);
void wire_close(struct http_wire *w);
void wire_watch(struct http_wire *w, int events);
/* Serves the wires that were postponed to this turn. */
void client_serve_postponed(struct http_client *c);
void client_wires_init(struct http_client *c);
/* Closes the kept wires. */
void client_wires_release(struct http_client *c);

/* http_client_easy.c */
/* Lets curl make a connection for the call, but not send the request. */
void call_connect(struct http_call *call);
/* Frees the easy handle, and the memory that its options refer to. */
void call_drop_easy(struct http_call *call);
struct http_call *call_new(struct http_client *c);
void call_free(struct http_call *call);
void call_prepare(struct http_call *call, const struct http_call_options *options);
/* Reads a small body. Call it right before adding the call to curl. Returns false when read() cancelled the call. */
MUST_CHECK bool call_load(struct http_call *call);
/* Frees the memory for this request. Call it after the call has been removed from curl. */
void call_clear(struct http_call *call);

/* http_client_pool.c */
void call_set_pool(struct http_call *call, const struct http_call_options *options);
/* Closes all kept connections. Free all easy handles before you call this function. */
void client_pools_release(struct http_client *c);

/* http_client_end.c */
struct http_call_result call_classify_end(struct http_call *call, CURLcode code);

/* http_client_tls.c */
void call_set_tls(struct http_call *call);
/* Returns the name of the TLS fault; NULL when the fault has nothing to do with TLS. */
const char *call_tls_fault(struct http_call *call, CURLcode code);

/* http_client_loop.c */
void client_loop_init(struct http_client *c);
/* Closes the handles. The client is freed when the last handle is closed. */
void client_loop_close(struct http_client *c);
void client_handle_closed(struct http_client *c);
/* Sets whether the client keeps the loop alive. Calls keep the loop alive; idle connections do not. */
void client_keep_loop(struct http_client *c, bool keep);
/* Makes the loop run client_settle(), and curl if its timer is due, before the next sleep. */
void client_kick(struct http_client *c);
/* Returns whether events of more wires may be handled in this turn. */
MUST_CHECK bool client_has_time_for_events(struct http_client *c);
/* Returns whether more calls may begin or be reaped in this turn. If the result is false, call client_kick(). */
MUST_CHECK bool client_has_time_for_calls(struct http_client *c);
/* Lets curl handle events of a socket, or its timers if `fd` is CURL_SOCKET_TIMEOUT. */
void client_drive(struct http_client *c, curl_socket_t fd, int mask);
int client_on_curl_timer(CURLM *multi, long timeout_ms, void *client);

/* http_client_curl.c */
/* Loads libcurl and makes c->multi, unless this has been done already. If the library cannot be loaded, the program
 * ends. */
void client_need_curl(struct http_client *c);
void client_curl_release(struct http_client *c);

/* http_client_socket.c */
int client_on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *client, void *unused);
curl_socket_t client_open_socket(void *client, curlsocktype purpose, struct curl_sockaddr *address);
int client_close_socket(void *client, curl_socket_t fd);

/* http_client_long.c */
void call_move_flow(struct http_call *call, enum call_flow to);
/* Counts bytes of the call's answer, and stops reading the answer when the call's turn is over. If curl reads the
 * answer, call it only in a callback of the call. */
void call_count_bytes(struct http_call *call, size_t len);
/* Reads long answers for about LONG_ANSWERS_NS. */
void client_read_long_answers(struct http_client *c);

#endif
