/*
 * One HTTP/1.1 connection to the target: one request at a time, kept open between requests. Nothing blocks except
 * connecting with TLS, and connection_run(). The owner polls c->fd for connection_events() and then calls
 * connection_step(). The body of the answer is collected in c->answer without its framing. The owner consumes bytes by
 * increasing c->answer_at. To stop the flow, the owner does not call connection_step().
 *
 * Large answers are read directly into c->answer, so this program does not copy them.
 *
 *   CLOSED -> CONNECTING -> SENDING -> WAITING -> READING -> DONE -> IDLE -> SENDING, for the next request
 *
 * With an upload, WAITING goes back to SENDING for each piece. An answer can come while a request is still being sent.
 * From every state, connection_close() leads to CLOSED and a failure leads to BROKEN.
 */
#ifndef FANTAIL_CLI_HTTP_CONNECTION_H
#define FANTAIL_CLI_HTTP_CONNECTION_H

#include "cli/http/target.h"
#include "common/base/base.h"
#include "common/base/buf.h"
#include "common/base/limits.h"

/* A value for answer_max: enough bytes for a line with the largest answer to an item, and for the lines before that
 * line. */
#define CONNECTION_LINE_BYTES (LIMIT_ANSWER_BYTES + 16 * MIB)

/* A coordinator sends something every 15 s. If nothing has arrived for this time, a command gives up the connection,
 * unless the coordinator may still be working on a job. */
#define CONNECTION_SILENCE_S 90
/* If no answer has arrived after this time, a command that waits for a job says that it is still waiting. */
#define CONNECTION_QUIET_S 10

enum connection_state {
    CONNECTION_CLOSED,
    CONNECTION_IDLE, /* connected, but no request runs */
    CONNECTION_CONNECTING,
    CONNECTION_SENDING,
    CONNECTION_WAITING, /* the request, or the upload so far, was sent, and no answer has come */
    CONNECTION_READING, /* the head of the answer has come, and its body is arriving */
    CONNECTION_DONE,    /* the whole answer has come */
    CONNECTION_BROKEN,  /* `error` says why */
    CONNECTION_STATE_COUNT
};

struct curl_stream;

struct connection {
    enum connection_state state;
    const struct target *target; /* borrowed */
    struct addrinfo *address;    /* the address in use, or the one being tried */
    int fd;
    struct curl_stream *tls; /* NULL: plain HTTP */

    const struct buf *first; /* sent before the body of each request; NULL: nothing. Borrowed; the owner may set it */
    struct buf head;
    const char *body;      /* borrowed */
    size_t body_len, sent; /* `sent`: bytes of head and body that were sent */
    bool uploading;        /* more pieces of the body will follow */
    int64_t upload_left;   /* uploading: how many bytes will follow; -1: unknown, the body is sent in chunks */

    int status; /* status of the answer; 0: no answer has come */
    char content_type[64];
    double retry_after_s;      /* -1: none */
    bool job_was_accepted;     /* the answer names a job, so a coordinator has accepted the job */
    bool close_after, chunked; /* close the connection after the answer; the answer has chunked framing */
    uint8_t framing;           /* an enum of connection_answer.c */
    uint64_t remaining;        /* bytes that are still to come of the chunk, or of the body */
    char *raw;
    size_t raw_len, raw_at;
    unsigned extras;   /* interim answers and trailers */
    const char *fault; /* what is wrong with the answer; NULL: it is not HTTP/1.1 */
    struct buf answer;
    size_t answer_max;  /* maximum size of `answer` in bytes; the owner may set it; 0: 2 GiB */
    size_t answer_at;   /* how many bytes of `answer` the owner has consumed */
    bool async_applied; /* Preference-Applied names respond-async */
    char error[256];
};

void connection_init(struct connection *c, const struct target *target);
/* Closes the connection and frees its memory. A zeroed connection is fine. */
void connection_release(struct connection *c);
/* Closes the connection. The received part of the answer is kept. */
void connection_close(struct connection *c);

/* Starts a request, and connects if needed. `headers` has whole lines, each with its CRLF, or is "". `body` is borrowed
 * until the state is CONNECTION_DONE or CONNECTION_BROKEN. A failure leads to CONNECTION_BROKEN. */
void connection_request(struct connection *c, const char *method, const char *path_and_query, const char *headers,
                        const char *body, size_t len);
/* Starts a request whose body is sent in pieces with the next two functions. If the length of the body is known, the
 * service can refuse the request before the body is sent. A `length` of -1 means that the length is unknown. */
void connection_upload(struct connection *c, const char *method, const char *path_and_query, const char *headers,
                       int64_t length);
/* Returns whether the connection accepts the next piece. */
bool connection_wants_piece(const struct connection *c);
/* Sends a piece, which is borrowed until the connection accepts the next one. A len of 0 ends the body. If
 * connection_upload() was given a length, all pieces together must have at least this many bytes. Bytes beyond this
 * length are left out. */
void connection_give_piece(struct connection *c, const char *data, size_t len);

/* Returns the events to poll c->fd for; 0: none. */
short connection_events(const struct connection *c);
void connection_step(struct connection *c);

/* Blocks until the request has ended. Returns false if the connection broke, or if nothing arrived for `silence_ms`.
 * The whole answer is held in memory. */
MUST_CHECK bool connection_run(struct connection *c, int silence_ms);

/* Returns whether the answer has this media type. If the type is one of the protocol's own media types, the answer
 * comes from a coordinator. */
bool connection_has_type(const struct connection *c, const char *type);
/* Tells the user that the service at `url` has sent nothing for CONNECTION_QUIET_S. */
void connection_say_quiet(const char *url);

#endif
