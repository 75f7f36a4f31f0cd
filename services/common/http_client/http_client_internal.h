/*
 * The parts of the HTTP client: http_client.c moves calls between their lists and reports their ends,
 * http_client_call.c dresses curl's easy handles and hears what they say, http_client_tls.c has the certificates,
 * http_client_loop.c ties curl's sockets and timer to the loop. Private to http_client*.c.
 */
#ifndef FANTAIL_COMMON_HTTP_CLIENT_HTTP_CLIENT_INTERNAL_H
#define FANTAIL_COMMON_HTTP_CLIENT_HTTP_CLIENT_INTERNAL_H

#include <curl/curl.h>

#include "common/base/buf.h"
#include "common/http_client/http_client.h"
#include "common/loop/turn.h"

/* A call is on the client's list of its state and on no other. */
enum call_state {
    CALL_SPARE,     /* of nobody; its easy handle waits for the next call */
    CALL_NEW,       /* to be given to curl when curl is not busy */
    CALL_RUNNING,   /* curl has it */
    CALL_CANCELLED, /* cancelled while curl was busy: to be taken away from curl, its callbacks refuse */
    CALL_ENDED,     /* taken away from curl, on_end is running */
    CALL_STATE_COUNT
};

struct http_call {
    struct http_call *next, *prev;
    struct http_client *client;
    enum call_state state;
    CURL *easy;
    struct http_call_options options; /* its strings are dead after http_call_start() */
    struct curl_slist *headers, *connect_to;
    struct buf head; /* the answer's header lines, NUL-ended, without the status line */
    int status;
    bool head_whole, closes;
    bool refused;      /* on_body said no */
    uint64_t heard_ms; /* last sign of life, uv_now() */
    int fd;            /* the socket it was last seen to use */
    struct http_call *next_bulk;
    size_t turn_bytes;             /* of the answer, read since its turn began */
    bool bulk;                     /* its answer is long: it is read in turns with others of that kind */
    bool queued, held;             /* on the client's list of those that wait for their turn; and not read until then */
    struct buf small;              /* a body small enough to go with its head in one send */
    bool may_repeat;               /* a plain GET: harmless when curl sends it again */
    unsigned sendings;             /* how often curl was about to send the request */
    long upload_bytes;             /* size of the easy handle's upload buffer */
    struct tls_material *material; /* that the easy handle uses; NULL: none */
    char error[CURL_ERROR_SIZE];
    char reason[CURL_ERROR_SIZE + 64]; /* error, with the name of the TLS fault */
};

struct call_list {
    struct http_call *first, *last;
    size_t count;
};

struct client_socket;

struct http_client {
    uv_loop_t *loop;
    struct http_client_options options;
    CURLM *multi;
    struct call_list calls[CALL_STATE_COUNT];
    unsigned busy; /* inside curl or inside settle(): calls are only marked, settle() does the rest */
    bool freed;

    uv_timer_t curl_timer, silence_timer;
    uint64_t silence_deadline_ms; /* when silence_timer fires; 0: it does not run */
    struct turn_step after_poll, long_answers, before_sleep;
    bool kicked;                    /* long_answers is awake, so that the loop does not sleep */
    bool told;                      /* a callback of a call has run since the step before sleep began */
    bool due;                       /* curl asked for a timer of 0 ms */
    struct client_socket **sockets; /* by descriptor */
    size_t sockets_count;
    struct http_call *bulk, **bulk_tail; /* calls that wait for their turn to be read */
    unsigned open_handles;               /* those of libuv that are not closed yet */
};

/* http_client.c */
void call_move(struct http_call *call, enum call_state to);
/* Does what was put off while curl was busy, and reports what ended. Does nothing when busy. */
void client_settle(struct http_client *c);
/* Lets a held answer flow again. curl must not be busy, but the client must be marked so. */
void call_flow(struct http_call *call);

/* http_client_call.c */
struct http_call *call_new(struct http_client *c);
void call_free(struct http_call *call);
void call_prepare(struct http_call *call, const struct http_call_options *options);
/* Right before curl gets it: reads a small body. False when read() cancelled the call. */
MUST_CHECK bool call_load(struct http_call *call);
/* After curl let go of it: drops what belongs to one request. */
void call_clear(struct http_call *call);
struct http_call_result call_judge(struct http_call *call, CURLcode code);

/* http_client_tls.c */
void call_set_tls(struct http_call *call);
/* The name of what went wrong with TLS; NULL when something else did. */
const char *call_tls_fault(struct http_call *call, CURLcode code);

/* http_client_loop.c */
void client_loop_init(struct http_client *c);
/* Closes the handles; the client is freed with the last of them. */
void client_loop_close(struct http_client *c);
/* The loop lives while calls do; idle connections do not keep it. */
void client_keep_loop(struct http_client *c, bool keep);
/* Makes the loop run client_settle() and curl before it waits the next time. */
void client_kick(struct http_client *c);
/* From a callback of the call: it has had its turn. */
void client_hold(struct http_call *call);
/* It ends or is new: out of the turns. */
void client_forget_bulk(struct http_call *call);
curl_socket_t client_open_socket(void *client, curlsocktype purpose, struct curl_sockaddr *address);
int client_close_socket(void *client, curl_socket_t fd);

#endif
