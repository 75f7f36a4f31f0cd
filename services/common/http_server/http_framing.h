/*
 * Reads the bytes of one connection before the HTTP library does, and finds the first byte that breaks the rules of RFC
 * 9112. If a proxy and a server disagree about where a request ends, an attacker can smuggle a second request past the
 * proxy (RFC 9112, 11.2). So this reader is stricter than every version of the library. The reader passes on only bytes
 * that have a single meaning.
 *
 * The reader knows where each part of a message begins and ends: head, body with a length, chunks, trailers. The reader
 * stores only one part of a message, the Origin, because even the answer to a faulty head may have to name the Origin
 * (CORS). The reader allocates nothing and does no I/O. The bytes may come in pieces of any size; the result is the
 * same.
 *
 * The reader checks and removes the extensions of chunks: our services do not use them, and libmicrohttpd 1.0.1 rejects
 * them.
 *
 * Obsolete forms are faults too: folded lines, a bare LF or CR as the end of a line, spaces around a chunk's size or
 * its extensions. The reader allows one empty line before a request (RFC 9112, 2.2). In a request's target it allows
 * the bytes of a URI (RFC 3986). Brackets in the path and the query, and bytes of 0x80 or more, are allowed too,
 * because clients send them without percent escapes.
 */
#ifndef FANTAIL_COMMON_HTTP_SERVER_HTTP_FRAMING_H
#define FANTAIL_COMMON_HTTP_SERVER_HTTP_FRAMING_H

#include "common/base/base.h"

enum http_framing_state {
    HTTP_FRAMING_START,      /* before the first message, or between two messages */
    HTTP_FRAMING_EMPTY_LINE, /* inside the empty line before a request */
    HTTP_FRAMING_METHOD,
    HTTP_FRAMING_TARGET,
    HTTP_FRAMING_VERSION,
    HTTP_FRAMING_LINE_END, /* a CR has been read, and its LF must follow */
    HTTP_FRAMING_FIELD, /* at the first byte of a field line, or of the empty line that ends the head or the trailers */
    HTTP_FRAMING_NAME,
    HTTP_FRAMING_VALUE_START, /* in the white space after the colon */
    HTTP_FRAMING_VALUE,
    HTTP_FRAMING_FIELDS_END,
    HTTP_FRAMING_BODY,
    HTTP_FRAMING_CHUNK_SIZE,
    HTTP_FRAMING_EXTENSION,
    HTTP_FRAMING_QUOTED, /* inside a quoted value of an extension */
    HTTP_FRAMING_ESCAPED,
    HTTP_FRAMING_CHUNK_LINE_END,
    HTTP_FRAMING_CHUNK,
    HTTP_FRAMING_CHUNK_CR, /* after the bytes of a chunk */
    HTTP_FRAMING_CHUNK_LF,
    HTTP_FRAMING_ENDED, /* the connection closes after the last request; nothing more is read */
    HTTP_FRAMING_FAULTY,
    HTTP_FRAMING_STATE_COUNT
};

enum http_framing_field {
    HTTP_FIELD_OTHER,
    HTTP_FIELD_LENGTH,
    HTTP_FIELD_ENCODING,
    HTTP_FIELD_HOST,
    HTTP_FIELD_CONNECTION,
    HTTP_FIELD_ORIGIN,
    HTTP_FIELD_COUNT
};

#define HTTP_FRAMING_WORD   32  /* longer than each word that the reader compares */
#define HTTP_FRAMING_ORIGIN 128 /* a longer Origin is not kept */

/* Embedded in its owner. A zeroed struct is ready for a new connection. */
struct http_framing {
    uint8_t state, field;
    uint8_t seen[HTTP_FIELD_COUNT]; /* how often each field has occurred */
    uint8_t target_part, host_part;
    uint8_t escape_left; /* number of hexadecimal digits that must follow in a percent escape of the target */
    uint8_t digits;      /* number of digits so far in a length or in a chunk's size */
    uint8_t word_len;
    uint16_t fields_n;
    bool is_http_1_0, is_options;
    bool trailers;                /* the field lines are trailers */
    bool empty_line;              /* the empty line before this request has been read */
    bool value_ended;             /* in Host: only white space may follow; in an extension: the '=' was read */
    bool closes, stays;           /* the Connection field has the option "close"; the option "keep-alive" */
    bool origin_whole;            /* `origin` holds the complete value of the Origin field */
    char word[HTTP_FRAMING_WORD]; /* the first bytes of the method, target, version, name or value that is being read */
    char origin[HTTP_FRAMING_ORIGIN];
    uint32_t head_bytes, target_bytes, line_bytes, extension_bytes;
    uint64_t left;            /* bytes of this body or chunk that have not arrived yet */
    uint64_t heads, messages; /* number of complete heads; number of complete messages */
    int status;               /* status of the answer to a request with this fault */
    const char *fault;        /* a static phrase; NULL: there is no fault */
};

/* Reads a piece, and removes the extensions of chunks from it. Returns how many bytes at `data` may be passed on: all,
 * or those before the fault, or those up to the end of the connection's last request. Sets *whole to the number of
 * these bytes that belong to complete messages. */
size_t http_framing_feed(struct http_framing *f, char *data, size_t len, size_t *whole);
/* Returns true if a part of a head has arrived, but not the end of the head. */
bool http_framing_in_head(const struct http_framing *f);
/* Returns the Origin of the last head, or NULL. The Origin is borrowed from f until more bytes are read. */
const char *http_framing_origin(const struct http_framing *f);
/* Looks for the Origin in the bytes after a fault. The bytes after a fault are used for nothing else. */
void http_framing_find_origin(struct http_framing *f, const char *rest, size_t len);
static inline bool http_framing_is_faulty(const struct http_framing *f)
{
    return f->state == HTTP_FRAMING_FAULTY;
}

#endif
