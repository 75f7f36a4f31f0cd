#include "common/base/buf.h"

#include <stdarg.h>

#include "common/base/spare_memory.h"

void buf_init(struct buf *b, size_t cap)
{
    *b = (struct buf){.cap = cap};
}

void buf_release(struct buf *b)
{
    spare_memory_free(b->data);
    b->data = NULL;
    b->len = b->alloc = 0;
}

void buf_clear(struct buf *b)
{
    b->len = 0;
}

/* The capacity grows by half, so that adding many pieces does not copy the bytes many times. */
static size_t next_alloc(const struct buf *b, size_t need)
{
    size_t alloc = b->alloc < 64 ? 64 : b->alloc + b->alloc / 2;
    return alloc < need ? need : alloc;
}

size_t buf_growth(const struct buf *b, size_t extra)
{
    if (b->alloc - b->len >= extra || extra > SIZE_MAX / 2 - b->len) return 0;
    size_t need = b->len + extra;
    return b->cap && need > b->cap ? 0 : next_alloc(b, need);
}

bool buf_reserve(struct buf *b, size_t extra)
{
    if (b->alloc - b->len >= extra) return !b->cap || b->len + extra <= b->cap;
    if (extra > SIZE_MAX / 2 - b->len) return false;
    size_t need = b->len + extra;
    if (b->cap && need > b->cap) return false;
    size_t alloc = next_alloc(b, need);
    b->data = xrealloc(b->data, alloc);
    b->alloc = alloc;
    return true;
}

void buf_expect(struct buf *b, size_t extra, size_t guess)
{
    enum { LONG_BYTES = 16 * 1024, GUESS_MOST_BYTES = 4 * 1024 * 1024 };
    size_t need = b->len + extra;
    if (guess > GUESS_MOST_BYTES) guess = GUESS_MOST_BYTES;
    if (b->cap && guess > b->cap) guess = b->cap;
    if (need < LONG_BYTES || need <= b->alloc || need >= guess) return;
    b->data = xrealloc(b->data, guess);
    b->alloc = guess;
}

void buf_trim(struct buf *b)
{
    enum { LINE_BYTES = 256 }; /* room to append a short line to a large buffer without copying the buffer */
    if (b->len == 0 || b->alloc - b->len <= b->len / 8 + LINE_BYTES) return;
    b->alloc = b->len + LINE_BYTES;
    b->data = xrealloc(b->data, b->alloc);
}

bool buf_add(struct buf *b, const void *data, size_t len)
{
    if (!buf_reserve(b, len)) return false;
    if (len) memcpy(b->data + b->len, data, len);
    b->len += len;
    return true;
}

bool buf_add_str(struct buf *b, const char *s)
{
    return buf_add(b, s, strlen(s));
}

bool buf_add_char(struct buf *b, char c)
{
    return buf_add(b, &c, 1);
}

bool buf_addf(struct buf *b, const char *fmt, ...)
{
    char small[256];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(small, sizeof small, fmt, args);
    va_end(args);
    if (len < 0) return false;
    if ((size_t)len < sizeof small) return buf_add(b, small, (size_t)len);
    /* The NUL that vsnprintf writes does not count towards the cap. */
    char *large = xmalloc((size_t)len + 1);
    va_start(args, fmt);
    vsnprintf(large, (size_t)len + 1, fmt, args);
    va_end(args);
    bool added = buf_add(b, large, (size_t)len);
    free(large);
    return added;
}

bool buf_add_u64(struct buf *b, uint64_t n)
{
    char digits[20];
    size_t at = sizeof digits;
    do digits[--at] = (char)('0' + n % 10);
    while (n /= 10);
    return buf_add(b, digits + at, sizeof digits - at);
}

bool buf_add_i64(struct buf *b, int64_t n)
{
    if (n >= 0) return buf_add_u64(b, (uint64_t)n);
    return buf_add_char(b, '-') && buf_add_u64(b, 0 - (uint64_t)n);
}

/* Returns the length of the valid UTF-8 character at s (RFC 3629), or 0 when there is none. */
static size_t utf8_length(const unsigned char *s, size_t len)
{
    size_t need = s[0] < 0x80                   ? 1
                  : s[0] >= 0xC2 && s[0] < 0xE0 ? 2
                  : (s[0] & 0xF0) == 0xE0       ? 3
                  : s[0] >= 0xF0 && s[0] < 0xF5 ? 4
                                                : 0;
    if (need == 0 || need > len) return 0;
    for (size_t i = 1; i < need; i++)
        if ((s[i] & 0xC0) != 0x80) return 0;
    if (s[0] == 0xE0 && s[1] < 0xA0) return 0;
    if (s[0] == 0xED && s[1] > 0x9F) return 0;
    if (s[0] == 0xF0 && s[1] < 0x90) return 0;
    if (s[0] == 0xF4 && s[1] > 0x8F) return 0;
    return need;
}

static bool add_escaped_char(struct buf *b, unsigned char c)
{
    static const char short_escapes[] = "\b\f\n\r\t\"\\", letters[] = "bfnrt\"\\";
    const char *at = c ? strchr(short_escapes, c) : NULL;
    return at ? buf_addf(b, "\\%c", letters[at - short_escapes]) : buf_addf(b, "\\u%04x", c);
}

static bool add_json_content(struct buf *b, const unsigned char *at, const unsigned char *end)
{
    while (at < end) {
        const unsigned char *run = at;
        while (at < end && *at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\') at++;
        if (!buf_add(b, run, (size_t)(at - run))) return false;
        if (at == end) break;
        size_t n = *at < 0x80 ? 0 : utf8_length(at, (size_t)(end - at));
        bool added = n ? buf_add(b, at, n) : *at >= 0x80 ? buf_add_str(b, "\xEF\xBF\xBD") : add_escaped_char(b, *at);
        if (!added) return false;
        at += n ? n : 1;
    }
    return true;
}

bool buf_add_json_string(struct buf *b, const char *s, size_t len)
{
    const unsigned char *at = (const unsigned char *)s;
    size_t start = b->len;
    if (buf_reserve(b, len + 2) && buf_add_char(b, '"') && add_json_content(b, at, at + len) && buf_add_char(b, '"'))
        return true;
    b->len = start;
    return false;
}

void buf_drop_front(struct buf *b, size_t len)
{
    if (len >= b->len) {
        b->len = 0;
        return;
    }
    memmove(b->data, b->data + len, b->len - len);
    b->len -= len;
}

const char *buf_cstr(struct buf *b)
{
    if (b->alloc == b->len) {
        b->alloc = b->len + 1;
        b->data = xrealloc(b->data, b->alloc);
    }
    b->data[b->len] = '\0';
    return b->data;
}

char *buf_detach(struct buf *b, size_t *len)
{
    char *data = b->data;
    if (len) *len = b->len;
    b->data = NULL;
    b->len = b->alloc = 0;
    return data;
}
