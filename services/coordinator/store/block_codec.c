#include "coordinator/store/block_codec.h"

#include <zstd.h>
#include <zstd_errors.h>

#include "common/base/limits.h"
#include "common/base/memory_room.h"

#define FORMAT_VERSION    1
#define COMPRESSION_LEVEL 1 /* compresses lines of JSON well, and about as fast as a disk can write */
#define CHECKSUM_BYTES    4
#define KEPT_BYTES        (4 * MIB) /* buffers up to this size keep their memory */
#define NUMBER_BYTES      10        /* maximum length of a number of 64 bits as LEB128 */

void block_codec_release(struct block_codec *c)
{
    ZSTD_freeCCtx(c->compressor);
    ZSTD_freeDCtx(c->decompressor);
    *c = (struct block_codec){0};
}

void block_bytes_clear(struct buf *b)
{
    buf_clear(b);
    if (b->alloc > KEPT_BYTES) buf_release(b);
}

static uint32_t checksum(const unsigned char *bytes, size_t len)
{
    uint32_t sum = UINT32_C(2166136261);
    for (size_t i = 0; i < len; i++) sum = (sum ^ bytes[i]) * UINT32_C(16777619);
    return sum;
}

static size_t put_number(unsigned char *at, uint64_t n)
{
    size_t len = 0;
    for (; n >= 0x80; n >>= 7) at[len++] = (unsigned char)(n | 0x80);
    at[len++] = (unsigned char)n;
    return len;
}

static uint64_t zigzag(int64_t n)
{
    return ((uint64_t)n << 1) ^ (n < 0 ? UINT64_MAX : 0);
}

static int64_t unzigzag(uint64_t n)
{
    return (int64_t)(n >> 1) ^ -(int64_t)(n & 1);
}

void block_ranges_encode(const struct block *b, struct buf *out)
{
    size_t start = out->len;
    if (!buf_reserve(out, 1 + NUMBER_BYTES * (1 + 2 * b->range_count) + CHECKSUM_BYTES)) BUG("the buffer has a cap");
    unsigned char *at = (unsigned char *)out->data + start, *from = at;
    *at++ = FORMAT_VERSION;
    at += put_number(at, b->range_count);
    uint64_t expected = 0;
    for (size_t i = 0; i < b->range_count; i++) {
        const struct block_range *r = &b->ranges[i];
        at += put_number(at, zigzag((int64_t)(r->first - expected)));
        at += put_number(at, r->n << 1 | (r->repeated ? 1 : 0));
        expected = r->first + r->n;
    }
    uint32_t sum = checksum(from, (size_t)(at - from));
    for (unsigned i = 0; i < CHECKSUM_BYTES; i++) *at++ = (unsigned char)(sum >> 8 * i);
    out->len = start + (size_t)(at - from);
}

/* The bytes that are still to be decoded. */
struct cursor {
    const unsigned char *at, *end;
};

static bool get_number(struct cursor *c, uint64_t *n)
{
    *n = 0;
    for (unsigned shift = 0; shift < 64 && c->at < c->end; shift += 7) {
        unsigned char byte = *c->at++;
        *n |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return true;
    }
    return false;
}

static bool get_range(struct cursor *c, uint64_t *expected, struct block_range *r)
{
    uint64_t step, length;
    if (!get_number(c, &step) || !get_number(c, &length)) return false;
    *r = (struct block_range){*expected + (uint64_t)unzigzag(step), length >> 1, length & 1};
    if (r->n == 0 || r->n > LIMIT_ITEMS || r->first > LIMIT_ITEMS - r->n) return false;
    *expected = r->first + r->n;
    return true;
}

bool block_ranges_decode(const void *bytes, size_t len, struct block *b, const char **why)
{
    struct cursor c = {bytes, (const unsigned char *)bytes + len};
    *why = "its ranges are too short";
    if (len < 2 + CHECKSUM_BYTES) return false;
    *why = "its ranges have an unknown format";
    if (*c.at++ != FORMAT_VERSION) return false;
    *why = "the checksum of its ranges is wrong";
    c.end -= CHECKSUM_BYTES;
    uint32_t sum = 0;
    for (unsigned i = 0; i < CHECKSUM_BYTES; i++) sum |= (uint32_t)c.end[i] << 8 * i;
    if (sum != checksum(bytes, len - CHECKSUM_BYTES)) return false;
    *why = "its ranges are wrong";
    uint64_t count, expected = 0;
    if (!get_number(&c, &count) || count > (uint64_t)(c.end - c.at) / 2) return false;
    struct block_range *ranges = xcalloc(count > 0 ? count : 1, sizeof *ranges);
    for (size_t i = 0; i < count; i++) {
        if (get_range(&c, &expected, &ranges[i])) continue;
        free(ranges);
        return false;
    }
    if (c.at != c.end) {
        free(ranges);
        return false;
    }
    free(b->ranges);
    b->ranges = ranges;
    b->range_count = count;
    return true;
}

static struct ZSTD_CCtx_s *new_compressor(void)
{
    struct ZSTD_CCtx_s *c = ZSTD_createCCtx();
    if (!c) return NULL;
    ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, COMPRESSION_LEVEL);
    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
    return c;
}

bool block_lines_encode(struct block_codec *c, const struct buf *lines, struct buf *out)
{
    if (lines->len == 0) return true;
    size_t room = ZSTD_compressBound(lines->len);
    if (!memory_has_room_in_thread(buf_growth(out, 1 + room))) return false;
    if (!c->compressor) c->compressor = new_compressor();
    if (!c->compressor) return false;
    if (!buf_reserve(out, 1 + room)) BUG("the buffer has a cap");
    out->data[out->len] = FORMAT_VERSION;
    size_t len = ZSTD_compress2(c->compressor, out->data + out->len + 1, room, lines->data, lines->len);
    if (ZSTD_isError(len)) return false; /* the output has enough room, so only an allocation can fail */
    out->len += 1 + len;
    return true;
}

enum block_decoded block_lines_decode(struct block_codec *c, const void *bytes, size_t len, struct buf *lines,
                                      const char **why)
{
    if (len == 0) return BLOCK_DECODED;
    const char *frame = (const char *)bytes + 1;
    *why = "its lines have an unknown format";
    if (*(const unsigned char *)bytes != FORMAT_VERSION) return BLOCK_DAMAGED;
    *why = "its lines have a wrong size";
    unsigned long long size = ZSTD_getFrameContentSize(frame, len - 1);
    if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR || size > LIMIT_BLOCK_BYTES)
        return BLOCK_DAMAGED;
    if (!memory_has_room_in_thread(buf_growth(lines, size + 1))) return BLOCK_NO_MEMORY;
    if (!c->decompressor) c->decompressor = ZSTD_createDCtx();
    if (!c->decompressor) return BLOCK_NO_MEMORY;
    if (!buf_reserve(lines, size + 1)) BUG("the buffer has a cap");
    size_t got = ZSTD_decompressDCtx(c->decompressor, lines->data + lines->len, size, frame, len - 1);
    if (ZSTD_isError(got) || got != size) {
        if (ZSTD_getErrorCode(got) == ZSTD_error_memory_allocation) return BLOCK_NO_MEMORY;
        *why = ZSTD_isError(got) ? ZSTD_getErrorName(got) : "its lines are too short";
        return BLOCK_DAMAGED;
    }
    lines->len += got;
    return BLOCK_DECODED;
}
