/*
 * Reads the answer to one HTTP/1.1 request (RFC 9112): interim heads, the head, and the body. The body has a length,
 * comes in chunks, or ends with the connection. The bytes may come in pieces of any size; the result is the same. Does
 * no I/O.
 *
 * The reader is stricter than the RFC demands of a client, so that an answer has only one meaning. The following are
 * faults: folded lines, a NUL, two different lengths, a length together with a transfer coding, and codings other than
 * chunked. A bare LF is accepted as the end of a line.
 *
 * Embedded in its owner. A zeroed struct may be released.
 */
#ifndef FANTAIL_COMMON_HTTP_CLIENT_HTTP_ANSWER_H
#define FANTAIL_COMMON_HTTP_CLIENT_HTTP_ANSWER_H

#include "common/base/buf.h"

#define HTTP_ANSWER_HEAD_BYTES (64 * 1024) /* maximum size of all lines of the heads and of the trailers */

enum http_answer_part {
    HTTP_ANSWER_NONE,  /* all bytes were read, and the answer is not complete yet */
    HTTP_ANSWER_LINE,  /* a line of a head, without its line end; an empty line ends the head */
    HTTP_ANSWER_BODY,  /* a piece of the body */
    HTTP_ANSWER_END,   /* the answer is complete; bytes that are left do not belong to it */
    HTTP_ANSWER_FAULT, /* `fault` says what is wrong */
};

enum http_answer_state {
    HTTP_ANSWER_AT_STATUS, /* before a status line */
    HTTP_ANSWER_AT_FIELD,
    HTTP_ANSWER_IN_BODY, /* `left` bytes of the body have not arrived yet */
    HTTP_ANSWER_IN_BODY_TO_CLOSE,
    HTTP_ANSWER_AT_CHUNK_SIZE,
    HTTP_ANSWER_IN_CHUNK,     /* `left` bytes of the chunk have not arrived yet */
    HTTP_ANSWER_AT_CHUNK_END, /* at the line end after a chunk */
    HTTP_ANSWER_AT_TRAILER,
    HTTP_ANSWER_AT_END,
};

struct http_answer {
    enum http_answer_state state;
    bool to_head; /* the request was HEAD, so there is no body */
    bool stays;   /* the connection may be used again after this answer */
    bool has_length, is_chunked;
    int status;
    uint64_t left, length;
    size_t head_bytes;
    struct buf line;   /* the beginning of a line whose end has not arrived yet */
    bool line_is_used; /* the last returned part is stored in `line` */
    const char *fault; /* a static phrase; NULL: there is no fault */
};

void http_answer_release(struct http_answer *a);
/* Prepares for a new answer. Does not free the memory of `line`. */
void http_answer_begin(struct http_answer *a, bool to_head);
/* Takes bytes from the front of *at, and returns what they are. Sets *part and *len to the line or the piece of the
 * body, which is borrowed until the next call. Call it again until it returns HTTP_ANSWER_NONE, END or FAULT. */
MUST_CHECK enum http_answer_part http_answer_next(struct http_answer *a, const char **at, size_t *left,
                                                  const char **part, size_t *len);
/* Returns whether the answer would be complete if the connection ended now. */
bool http_answer_ends_here(const struct http_answer *a);

#endif
