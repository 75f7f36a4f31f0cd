#include "common/json/encoding.h"

#include "common/json/json_scan.h"

#define FAULT(name) "this is " name ", but UTF-8 is expected"

static const char *const names[] = {
    [ENCODING_UTF8] = "UTF-8",
    [ENCODING_UTF8_MARKED] = "UTF-8 (with a byte order mark)",
    [ENCODING_UTF16_LE] = "UTF-16 (little endian)",
    [ENCODING_UTF16_BE] = "UTF-16 (big endian)",
    [ENCODING_UTF32_LE] = "UTF-32 (little endian)",
    [ENCODING_UTF32_BE] = "UTF-32 (big endian)",
};
static_assert(ARRAY_SIZE(names) == ENCODING_COUNT, "a name for each encoding");

static const char *const faults[] = {
    [ENCODING_UTF8] = NULL,
    [ENCODING_UTF8_MARKED] = NULL,
    [ENCODING_UTF16_LE] = FAULT("UTF-16 (little endian)"),
    [ENCODING_UTF16_BE] = FAULT("UTF-16 (big endian)"),
    [ENCODING_UTF32_LE] = FAULT("UTF-32 (little endian)"),
    [ENCODING_UTF32_BE] = FAULT("UTF-32 (big endian)"),
};
static_assert(ARRAY_SIZE(faults) == ENCODING_COUNT, "each encoding has an entry");

bool encoding_needs_more(const char *data, size_t len)
{
    if (len == 0 || len >= ENCODING_BYTES) return len == 0;
    unsigned char first = (unsigned char)data[0];
    if (first == 0 || first == 0xEF || first >= 0xFE) return true;
    return len == 1 ? first != '\n' : data[1] == 0;
}

/* Returns the encoding of a text of at least two bytes. One of the first two bytes must be zero, or the two bytes must
 * be the byte order mark of UTF-16. */
static enum encoding wide_encoding(const unsigned char *b, size_t len)
{
    bool zeros = len >= 4 && b[2] == 0 && b[3] == 0;
    if (b[0] == 0 && b[1] == 0) return len >= 4 && !zeros ? ENCODING_UTF32_BE : ENCODING_UTF8;
    if (b[0] == 0 || b[0] == 0xFE) return ENCODING_UTF16_BE;
    return zeros ? ENCODING_UTF32_LE : ENCODING_UTF16_LE;
}

enum encoding encoding_of(const char *data, size_t len)
{
    const unsigned char *b = (const unsigned char *)data;
    if (has_utf8_mark(data, len)) return ENCODING_UTF8_MARKED;
    if (len < 2 || b[0] == '\n') return ENCODING_UTF8; /* see encoding_needs_more() */
    bool marked = (b[0] == 0xFF && b[1] == 0xFE) || (b[0] == 0xFE && b[1] == 0xFF);
    return marked || b[0] == 0 || b[1] == 0 ? wide_encoding(b, len) : ENCODING_UTF8;
}

const char *encoding_name(enum encoding e)
{
    return names[e];
}

const char *encoding_fault(enum encoding e)
{
    return faults[e];
}

bool encoding_is_wide(enum encoding e)
{
    return e > ENCODING_UTF8_MARKED;
}

size_t encoding_mark_bytes(enum encoding e)
{
    return e == ENCODING_UTF8_MARKED ? sizeof(UTF8_MARK) - 1 : 0;
}

size_t encoding_text_length(const char *data, size_t len)
{
    size_t at = 0;
    while (at < len) {
        at += json_text_length(data + at, len - at);
        if (at == len || data[at] == 0 || (unsigned char)data[at] >= 0x80) break;
        at++;
    }
    return at;
}

void encoding_drop_cut(char *text)
{
    text[encoding_text_length(text, strlen(text))] = '\0';
}

bool has_utf8_mark(const char *data, size_t len)
{
    return len >= sizeof(UTF8_MARK) - 1 && memcmp(data, UTF8_MARK, sizeof(UTF8_MARK) - 1) == 0;
}
