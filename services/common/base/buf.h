/*
 * A growable array of bytes with a cap (ideas: curl's dynbuf, git's strbuf). A zeroed struct is a valid empty buffer
 * without a cap. The bytes are not NUL-terminated unless buf_cstr() is called.
 * The struct that embeds a buffer owns it. buf_release() may be called on a zeroed or released buffer.
 */
#ifndef FANTAIL_COMMON_BASE_BUF_H
#define FANTAIL_COMMON_BASE_BUF_H

#include "common/base/base.h"

struct buf {
    char *data;
    size_t len;
    size_t alloc;
    size_t cap; /* the largest len; 0: no cap */
};

/* Copies at most `cap` bytes of `from`, beginning at the offset *at, to dst. Returns how many bytes were copied, and
 * increases *at by that number. */
static inline size_t bytes_copy_next(char *dst, size_t cap, const char *from, size_t len, size_t *at)
{
    size_t n = len - *at < cap ? len - *at : cap;
    if (n) memcpy(dst, from + *at, n);
    *at += n;
    return n;
}

void buf_init(struct buf *b, size_t cap);
void buf_release(struct buf *b);
/* Empties the buffer, but keeps its memory. */
void buf_clear(struct buf *b);

/* Makes room for `extra` more bytes: the caller may write them at data + len and then increase len. If the bytes would
 * exceed the cap, buf_reserve() changes nothing and returns false. */
MUST_CHECK bool buf_reserve(struct buf *b, size_t extra);
/* Returns how many bytes buf_reserve() would allocate for `extra` more bytes; 0: none. Pass the result to
 * memory_has_room() to find out whether there is memory for them. */
size_t buf_growth(const struct buf *b, size_t extra);
/* Call it before adding `extra` bytes to a buffer that may become long. If b will be long with these bytes, but shorter
 * than `guess`, allocates memory for `guess` bytes in all, but at most 4 MiB. Without this call, b would grow step by
 * step, and each byte would be copied about twice. `guess` is the expected final length; 0: unknown. */
void buf_expect(struct buf *b, size_t extra, size_t guess);
/* If b has much unused memory, frees most of that memory. */
void buf_trim(struct buf *b);
/* The functions below append. If the bytes would exceed the cap, these functions append nothing and return false. */
bool buf_add(struct buf *b, const void *data, size_t len);
bool buf_add_str(struct buf *b, const char *s);
bool buf_add_char(struct buf *b, char c);
bool buf_addf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool buf_add_u64(struct buf *b, uint64_t n);
bool buf_add_i64(struct buf *b, int64_t n);
/* Appends a JSON string with its quotes, escaped as RFC 8259 demands. Invalid UTF-8 becomes U+FFFD. */
bool buf_add_json_string(struct buf *b, const char *s, size_t len);

/* Drops `len` bytes from the front, and moves the rest. */
void buf_drop_front(struct buf *b, size_t len);
/* Returns the bytes with a NUL after them. The NUL is not counted in len. The result is borrowed until the next call
 * that changes b. */
const char *buf_cstr(struct buf *b);
/* Hands the memory to the caller, who must free() it, and leaves b empty. Returns NULL if b had no memory. */
MUST_CHECK char *buf_detach(struct buf *b, size_t *len);

#endif
