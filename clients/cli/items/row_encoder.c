#include "cli/items/row_encoder.h"

#include "common/json/json_scan.h"

static char *begin_row(struct row_encoder *e, char *to)
{
    e->in_row = true;
    bool text = e->form != INPUT_JSON_ROWS;
    return to + snprintf(to, 26, "[%llu,%s", (unsigned long long)e->index, text ? "\"" : "");
}

static char *end_row(struct row_encoder *e, char *to)
{
    e->in_row = e->has_cr = false;
    e->index++;
    return (char *)mempcpy(to, e->form == INPUT_JSON_ROWS ? "]\n" : "\"]\n", e->form == INPUT_JSON_ROWS ? 2 : 3);
}

static char *add_escaped(char *to, char c)
{
    static const char named[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt", hex[] = "0123456789abcdef";
    const char *name = c ? strchr(named, c) : NULL;
    if (name) {
        *to++ = '\\';
        *to++ = letters[name - named];
    } else if (c && (unsigned char)c < 0x20) {
        to = (char *)mempcpy(to, "\\u00", 4);
        *to++ = hex[c >> 4];
        *to++ = hex[c & 15];
    } else {
        *to++ = c;
    }
    return to;
}

static char *add_cr(struct row_encoder *e, char *to)
{
    if (e->has_cr) to = add_escaped(to, '\r');
    e->has_cr = false;
    return to;
}

static size_t add_text(struct row_encoder *e, const char *data, size_t len, char *out)
{
    bool lines = e->form == INPUT_TEXT_ROWS;
    char separator = lines ? '\n' : '\0', *to = out;
    for (size_t at = 0; at < len;) {
        if (!e->in_row) to = begin_row(e, to);
        size_t plain = json_text_length(data + at, len - at);
        if (plain) to = add_cr(e, to);
        to = (char *)mempcpy(to, data + at, plain);
        at += plain;
        if (at == len) break;
        char c = data[at++];
        if (c == separator) {
            to = end_row(e, to);
            continue;
        }
        to = add_cr(e, to);
        e->has_cr = lines && c == '\r';
        if (!e->has_cr) to = add_escaped(to, c);
    }
    return (size_t)(to - out);
}

/* Blank lines stay, so that the lines can be counted. */
static size_t add_json(struct row_encoder *e, const char *data, size_t len, char *out)
{
    char *to = out;
    for (size_t at = 0; at < len;) {
        char c = data[at];
        if (!e->in_row && (c == ' ' || c == '\t' || c == '\r' || c == '\n')) {
            if (c == '\n') *to++ = c;
            at++;
            continue;
        }
        if (!e->in_row) to = begin_row(e, to);
        const char *newline = memchr(data + at, '\n', len - at);
        size_t n = newline ? (size_t)(newline - data) - at : len - at;
        to = (char *)mempcpy(to, data + at, n);
        at += n;
        if (newline) to = end_row(e, to);
        at += newline != NULL;
    }
    return (size_t)(to - out);
}

size_t row_encoder_add(struct row_encoder *e, const char *data, size_t len, char *out)
{
    return e->form == INPUT_JSON_ROWS ? add_json(e, data, len, out) : add_text(e, data, len, out);
}

size_t row_encoder_end(struct row_encoder *e, char *out)
{
    if (!e->in_row) return 0;
    return (size_t)(end_row(e, out) - out) - 1;
}
