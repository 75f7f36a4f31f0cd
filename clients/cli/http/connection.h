/*
 * One HTTP/1.1 connection to the target, one request at a time, kept alive between requests. Nothing blocks (but the
 * connecting of TLS); the owner polls connection_fd() for connection_events() and calls
 * connection_step(). The answer's body gathers in `answer`, its framing removed; the owner takes bytes by moving
 * answer_at, and stops the flow by not calling step.
 *
 * Large answers are read straight into `answer`: a chunk's bytes are copied by the kernel only.
 */
#ifndef FANTAIL_CLI_HTTP_CONNECTION_H
#define FANTAIL_CLI_HTTP_CONNECTION_H

#include "cli/http/target.h"
#include "common/base/base.h"
#include "common/base/buf.h"

enum connection_state {
    CONNECTION_CLOSED,
    CONNECTION_IDLE, /* connected, no request running */
    CONNECTION_CONNECTING,
    CONNECTION_SENDING,
    CONNECTION_WAITING, /* request sent (or for uploads: as far as given), no answer yet */
    CONNECTION_READING, /* the head of the answer is in */
    CONNECTION_DONE,    /* the whole answer is in */
    CONNECTION_BROKEN   /* `error` says why */
};

struct curl_stream;

struct connection {
    enum connection_state state;
    const struct target *target;
    struct addrinfo *address; /* being tried */
    int fd;
    struct curl_stream *tls;
    bool reused; /* the request went over a connection that had served one before */

    struct buf head;
    const char *body;      /* borrowed */
    size_t body_len, sent; /* of head and body together */
    bool uploading;        /* more body will be given */

    int status;
    char content_type[64];
    double retry_after_s; /* -1: none */
    bool close_after, chunked;
    uint8_t framing;
    uint64_t remaining; /* of the chunk, or of the body */
    char *raw;
    size_t raw_len, raw_at;
    struct buf answer;
    size_t answer_at; /* taken by the owner */
    char error[256];
};

void connection_init(struct connection *c, const struct target *target);
/* Hangs up and frees. A zeroed connection is fine. */
void connection_release(struct connection *c);
/* Hangs up; what came of the answer stays. */
void connection_close(struct connection *c);

/* Starts a request, connecting if need be. headers: ready lines, each ended by CRLF, or "". body is borrowed until the
 * state is CONNECTION_DONE or CONNECTION_BROKEN. Failures show in the state. */
void connection_request(struct connection *c, const char *method, const char *path_and_query, const char *headers,
                        const char *body, size_t len);
/* As above with a body of unknown length, given in pieces: */
void connection_upload(struct connection *c, const char *method, const char *path_and_query, const char *headers);
/* The next piece can be given. */
bool connection_wants_piece(const struct connection *c);
/* Borrowed until the next one is wanted; len 0 ends the body. */
void connection_give_piece(struct connection *c, const char *data, size_t len);

/* To be polled for; 0 when nothing is to be done. */
short connection_events(const struct connection *c);
void connection_step(struct connection *c);

/* Runs one whole request, blocking; false when it broke. The answer must fit memory. */
MUST_CHECK bool connection_run(struct connection *c);

#endif
