#include "common/json/json_walk.h"

#include "common/json/json_scan.h"

static void skip_space(struct json_walk *w)
{
    while (w->at < w->end && (*w->at == ' ' || *w->at == '\n' || *w->at == '\r' || *w->at == '\t')) w->at++;
}

static struct json_slice read_value(struct json_walk *w)
{
    skip_space(w);
    struct json_slice value = {w->at, json_value_length(w->at, (size_t)(w->end - w->at))};
    w->at += value.len;
    skip_space(w);
    return value;
}

bool json_walk_init(struct json_walk *w, const char *text, size_t len)
{
    *w = (struct json_walk){text, text + len};
    skip_space(w);
    if (w->at == w->end || (*w->at != '{' && *w->at != '[')) return false;
    w->at++;
    skip_space(w);
    return true;
}

bool json_walk_init_checked(struct json_walk *w, const char *text, size_t len)
{
    size_t offset;
    const char *error;
    return json_valid(text, len, &offset, &error) && json_walk_init(w, text, len);
}

bool json_walk_next(struct json_walk *w, struct json_slice *name, struct json_slice *value)
{
    if (w->at == w->end || *w->at == '}' || *w->at == ']') return false;
    struct json_slice first = read_value(w), second = {NULL, 0};
    bool member = w->at < w->end && *w->at == ':';
    if (member) {
        w->at++;
        second = read_value(w);
    }
    if (w->at < w->end && *w->at == ',') {
        w->at++;
        skip_space(w);
    }
    if (name) *name = member ? first : second;
    if (value) *value = member ? second : first;
    return true;
}

static uint32_t hex4(const char *p)
{
    uint32_t n = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        n = n << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return n;
}

static size_t utf8_encode(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

/* Decodes the \u escape at p, or the surrogate pair that begins there. Returns a pointer to the byte after the escape
 * or the pair. */
static const char *read_unicode_escape(const char *p, const char *end, uint32_t *c)
{
    *c = hex4(p + 2);
    p += 6;
    if (*c < 0xD800 || *c > 0xDFFF) return p;
    if (*c < 0xDC00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
        uint32_t low = hex4(p + 2);
        if (low >= 0xDC00 && low <= 0xDFFF) {
            *c = 0x10000 + ((*c - 0xD800) << 10) + (low - 0xDC00);
            return p + 6;
        }
    }
    *c = 0xFFFD;
    return p;
}

static const char *read_escape(const char *p, const char *end, uint32_t *c)
{
    static const char names[] = "bfnrt", meanings[] = "\b\f\n\r\t";
    if (p[1] == 'u') return read_unicode_escape(p, end, c);
    const char *named = strchr(names, p[1]);
    *c = (uint32_t)(named ? meanings[named - names] : p[1]);
    return p + 2;
}

bool json_string_decode(struct json_slice string, struct buf *out)
{
    if (string.len < 2 || string.data[0] != '"') return false;
    const char *p = string.data + 1, *end = string.data + string.len - 1;
    while (p < end) {
        const char *escape = memchr(p, '\\', (size_t)(end - p));
        const char *stop = escape ? escape : end;
        if (!buf_add(out, p, (size_t)(stop - p))) return false;
        if (!escape) break;
        uint32_t c;
        char bytes[4];
        p = read_escape(escape, end, &c);
        if (!buf_add(out, bytes, utf8_encode(c, bytes))) return false;
    }
    return true;
}

bool json_string_is(struct json_slice string, const char *text)
{
    size_t len = strlen(text);
    if (string.len < 2 || string.data[0] != '"') return false;
    if (!memchr(string.data, '\\', string.len)) return string.len == len + 2 && memcmp(string.data + 1, text, len) == 0;
    struct buf meaning = {0};
    bool same = json_string_decode(string, &meaning) && meaning.len == len &&
                (len == 0 || memcmp(meaning.data, text, len) == 0);
    buf_release(&meaning);
    return same;
}
