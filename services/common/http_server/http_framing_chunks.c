/* Reads the lines between the chunks of a body: CHUNK-SIZE *( ";" name [ "=" ( token / quoted string ) ] ) CRLF. */
#include <ctype.h>

#include "common/base/limits.h"
#include "common/http_server/http_framing_internal.h"

/* 16 hexadecimal digits are 64 bits. If there are 16 digits, the first one decides whether the size fits in 63 bits. */
#define MAX_DIGITS 16

void http_framing_chunks_start(struct http_framing *f)
{
    f->state = HTTP_FRAMING_CHUNK_SIZE;
    f->left = 0;
    f->digits = 0;
    f->line_bytes = 0;
}

void http_framing_chunk_size(struct http_framing *f, unsigned char c)
{
    if (isxdigit(c)) {
        uint64_t digit = (uint64_t)(isdigit(c) ? c - '0' : tolower(c) - 'a' + 10);
        f->left = f->left << 4 | digit;
        if (++f->digits > MAX_DIGITS)
            http_framing_fail(f, 400, "the size of a chunk has too many digits");
        else if (f->left > INT64_MAX)
            http_framing_fail(f, 413, "the size of a chunk is too large");
    } else if (f->digits == 0) {
        http_framing_fail(f, 400, "a chunk does not begin with its size");
    } else if (c == ';') {
        f->word_len = 0;
        f->value_ended = false;
        f->state = HTTP_FRAMING_EXTENSION;
    } else if (c == '\r') {
        f->state = HTTP_FRAMING_CHUNK_LINE_END;
    } else {
        http_framing_fail(f, 400, "the size of a chunk is not a hexadecimal number");
    }
}

static void count_extension_byte(struct http_framing *f)
{
    f->line_bytes++;
    f->extension_bytes++;
    if (f->line_bytes > LIMIT_EXTENSION_BYTES || f->extension_bytes > LIMIT_EXTENSIONS_BYTES)
        http_framing_fail(f, 400, "the extensions of the chunks are too long");
}

/* The previous byte determines which bytes may follow. For example, after a quoted string only a new extension or the
 * end of the line may follow. */
void http_framing_extension(struct http_framing *f, unsigned char c)
{
    char last = f->word_len ? f->word[0] : ';';
    bool ends_a_word = last != ';' && last != '=', fits = false;
    if (http_framing_is_token(c)) fits = last != '"';
    if (c == '"') fits = last == '=';
    if (c == '=') fits = ends_a_word && !f->value_ended;
    if (c == ';' || c == '\r') fits = ends_a_word;
    if (!fits) {
        http_framing_fail(f, 400, "an extension of a chunk is not well-formed");
        return;
    }
    f->word_len = 0;
    http_framing_add(f, c);
    if (c == '=' || c == ';') f->value_ended = c == '=';
    if (c == '"') f->state = HTTP_FRAMING_QUOTED;
    if (c == '\r') f->state = HTTP_FRAMING_CHUNK_LINE_END;
    count_extension_byte(f);
}

void http_framing_quoted(struct http_framing *f, unsigned char c)
{
    if (c == '"')
        f->state = HTTP_FRAMING_EXTENSION;
    else if (c == '\\')
        f->state = HTTP_FRAMING_ESCAPED;
    else if (!http_framing_is_text(c))
        http_framing_fail(f, 400, "an extension of a chunk has a control character");
    if (f->state != HTTP_FRAMING_FAULTY) count_extension_byte(f);
}

void http_framing_escaped(struct http_framing *f, unsigned char c)
{
    f->state = HTTP_FRAMING_QUOTED;
    if (http_framing_is_text(c))
        count_extension_byte(f);
    else
        http_framing_fail(f, 400, "an extension of a chunk has a control character");
}

void http_framing_chunk_line_end(struct http_framing *f, unsigned char c)
{
    if (c != '\n') {
        http_framing_fail(f, 400, "a CR without an LF");
    } else if (f->left > 0) {
        f->state = HTTP_FRAMING_CHUNK;
    } else {
        f->state = HTTP_FRAMING_FIELD;
        f->trailers = true;
        f->head_bytes = 0;
        f->fields_n = 0;
    }
}

void http_framing_chunk_cr(struct http_framing *f, unsigned char c)
{
    f->state = HTTP_FRAMING_CHUNK_LF;
    if (c != '\r') http_framing_fail(f, 400, "a chunk is longer than its size, or ends without CRLF");
}

void http_framing_chunk_lf(struct http_framing *f, unsigned char c)
{
    if (c == '\n')
        http_framing_chunks_start(f);
    else
        http_framing_fail(f, 400, "a CR without an LF");
}
