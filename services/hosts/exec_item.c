#include "hosts/exec_item.h"

static bool parse_hex4(const char *at, const char *end, unsigned *code)
{
    if (end - at < 4) return false;
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)at[i];
        unsigned letter = (c | 0x20u) - 'a';
        if (c >= '0' && c <= '9')
            value = value * 16 + c - '0';
        else if (letter < 6)
            value = value * 16 + letter + 10;
        else
            return false;
    }
    *code = value;
    return true;
}

static void add_utf8(struct buf *b, unsigned code)
{
    unsigned char bytes[4];
    size_t n;
    if (code < 0x80) {
        bytes[0] = (unsigned char)code;
        n = 1;
    } else if (code < 0x800) {
        bytes[0] = (unsigned char)(0xC0 | code >> 6);
        n = 2;
    } else if (code < 0x10000) {
        bytes[0] = (unsigned char)(0xE0 | code >> 12);
        n = 3;
    } else {
        bytes[0] = (unsigned char)(0xF0 | code >> 18);
        n = 4;
    }
    for (size_t i = 1; i < n; i++) bytes[i] = (unsigned char)(0x80 | ((code >> (6 * (n - 1 - i))) & 0x3F));
    buf_add(b, bytes, n);
}

/* `at` points after "\u". Returns NULL for a lone surrogate, because UTF-8 cannot encode it. */
static const char *add_unicode_escape(struct buf *b, const char *at, const char *end)
{
    unsigned code, low;
    if (!parse_hex4(at, end, &code)) return NULL;
    at += 4;
    if (code >= 0xD800 && code < 0xDC00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u' &&
        parse_hex4(at + 2, end, &low) && low >= 0xDC00 && low < 0xE000) {
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        at += 6;
    } else if (code >= 0xD800 && code < 0xE000) {
        return NULL;
    }
    add_utf8(b, code);
    return at;
}

static const char *add_escape(struct buf *b, const char *at, const char *end)
{
    static const char letters[] = "bfnrt\"\\/", chars[] = "\b\f\n\r\t\"\\/";
    if (at == end) return NULL;
    if (*at == 'u') return add_unicode_escape(b, at + 1, end);
    const char *found = *at ? strchr(letters, *at) : NULL;
    if (!found) return NULL;
    buf_add_char(b, chars[found - letters]);
    return at + 1;
}

bool exec_item_add_text(const char *json, size_t len, struct buf *text)
{
    if (len == 0 || json[0] != '"') return buf_add(text, json, len);
    if (len < 2 || json[len - 1] != '"') return false;
    const char *at = json + 1, *end = json + len - 1;
    while (at && at < end) {
        const char *backslash = memchr(at, '\\', (size_t)(end - at));
        const char *run_end = backslash ? backslash : end;
        buf_add(text, at, (size_t)(run_end - at));
        at = backslash ? add_escape(text, backslash + 1, end) : end;
    }
    return at != NULL;
}
