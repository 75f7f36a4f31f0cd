/* Declarations shared by the files of the framing reader. Private to http_framing*.c. Each step takes one byte. */
#ifndef FANTAIL_COMMON_HTTP_SERVER_HTTP_FRAMING_INTERNAL_H
#define FANTAIL_COMMON_HTTP_SERVER_HTTP_FRAMING_INTERNAL_H

#include "common/http_server/http_framing.h"

void http_framing_fail(struct http_framing *f, int status, const char *fault);
bool http_framing_is_token(unsigned char c);
/* Returns whether the byte may be in the value of a field and in a quoted string. */
bool http_framing_is_text(unsigned char c);
/* Adds the byte to f->word if there is room. */
void http_framing_add(struct http_framing *f, unsigned char c);
/* Returns whether f->word equals `expected`, ignoring case. */
bool http_framing_word_is(const struct http_framing *f, const char *expected);

/* http_framing_fields.c: field lines and trailers */
void http_framing_field(struct http_framing *f, unsigned char c);
void http_framing_name(struct http_framing *f, unsigned char c);
void http_framing_value_start(struct http_framing *f, unsigned char c);
void http_framing_value(struct http_framing *f, unsigned char c);
/* Call it for each byte of a host with an optional port. Returns whether the byte may follow the bytes before it.
 * f->word holds the bytes before it, and f->host_part is 0 at the first byte. */
bool http_framing_fits_host(struct http_framing *f, unsigned char c);
/* Returns whether the host may end now. */
bool http_framing_host_is_whole(const struct http_framing *f);
/* Call it at the end of a head. Returns what is wrong with the head, or NULL. */
const char *http_framing_head_fault(const struct http_framing *f);

/* http_framing_chunks.c: sizes of chunks and their extensions */
void http_framing_chunks_start(struct http_framing *f);
void http_framing_chunk_size(struct http_framing *f, unsigned char c);
void http_framing_extension(struct http_framing *f, unsigned char c);
void http_framing_quoted(struct http_framing *f, unsigned char c);
void http_framing_escaped(struct http_framing *f, unsigned char c);
void http_framing_chunk_line_end(struct http_framing *f, unsigned char c);
void http_framing_chunk_cr(struct http_framing *f, unsigned char c);
void http_framing_chunk_lf(struct http_framing *f, unsigned char c);

#endif
