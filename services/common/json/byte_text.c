#include "common/json/byte_text.h"

/* Returns whether the byte stands for itself in a JSON string. */
static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static char *write_byte(char *to, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    if (is_plain(c)) {
        *to++ = (char)c;
    } else if (c == '"' || c == '\\') {
        *to++ = '\\';
        *to++ = (char)c;
    } else if (c == '\n') {
        to = (char *)mempcpy(to, "\\n", 2);
    } else if (c < 0x20) {
        to = (char *)mempcpy(to, "\\u00", 4);
        *to++ = hex[c >> 4];
        *to++ = hex[c & 15];
    } else {
        *to++ = (char)(0xC0 | c >> 6);
        *to++ = (char)(0x80 | (c & 0x3F));
    }
    return to;
}

char *byte_text_write(char *to, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) to = write_byte(to, (unsigned char)data[i]);
    return to;
}

/* Returns how long the bytes are when they are written as the content of a JSON string. */
static size_t written_length(const char *data, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)data[i];
        bool two = c >= 0x80 || c == '"' || c == '\\' || c == '\n';
        n += is_plain(c) ? 1 : two ? 2 : 6;
    }
    return n;
}

bool byte_text_add(struct buf *json, const char *data, size_t len)
{
    if (!buf_reserve(json, written_length(data, len) + 2)) return false;
    char *to = json->data + json->len;
    *to++ = '"';
    to = byte_text_write(to, data, len);
    *to++ = '"';
    json->len = (size_t)(to - json->data);
    return true;
}

size_t byte_text_to_bytes(char *text, size_t len)
{
    char *to = text;
    for (size_t at = 0; at < len;) {
        unsigned char c = (unsigned char)text[at++];
        if (c < 0x80) {
            *to++ = (char)c;
            continue;
        }
        if ((c != 0xC2 && c != 0xC3) || at == len) return SIZE_MAX;
        *to++ = (char)((c & 3) << 6 | ((unsigned char)text[at++] & 0x3F));
    }
    return (size_t)(to - text);
}
