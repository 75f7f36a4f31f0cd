/* Fuzzes the decoder of blocks of the job store. The decoder must not read after the end of the input. If the input can
 * be decoded, the ranges are encoded and decoded again, and must not have changed. */
#include "common/base/limits.h"
#include "coordinator/store/block_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct block *a, const struct block *b)
{
    if (a->range_count != b->range_count) BUG("%zu ranges became %zu", a->range_count, b->range_count);
    for (size_t i = 0; i < a->range_count; i++) {
        const struct block_range *x = &a->ranges[i], *y = &b->ranges[i];
        if (x->first != y->first || x->n != y->n || x->repeated != y->repeated) BUG("range %zu changed", i);
        if (x->first + x->n > LIMIT_ITEMS) BUG("range %zu is beyond the last item", i);
    }
}

/* Replaces the last four bytes with the right checksum, because the fuzzer cannot guess checksums. */
static void set_checksum(uint8_t *bytes, size_t size)
{
    uint32_t sum = UINT32_C(2166136261);
    for (size_t i = 0; i + 4 < size; i++) sum = (sum ^ bytes[i]) * UINT32_C(16777619);
    for (unsigned i = 0; i < 4 && size >= 4; i++) bytes[size - 4 + i] = (uint8_t)(sum >> 8 * i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *why;
    struct block_codec codec = {0};
    struct block b = {0}, again = {0};
    struct buf bytes = {0}, lines = {0};
    uint8_t *copy = xmalloc(size ? size : 1);
    if (size) memcpy(copy, data, size);
    if (block_lines_decode(&codec, copy, size, &lines, &why) == BLOCK_DECODED && lines.len > LIMIT_BLOCK_BYTES)
        BUG("too many lines");
    set_checksum(copy, size);
    if (block_ranges_decode(copy, size, &b, &why)) {
        block_ranges_encode(&b, &bytes);
        if (!block_ranges_decode(bytes.data, bytes.len, &again, &why)) BUG("cannot be read again: %s", why);
        check_same(&b, &again);
    }
    free(copy);
    block_release(&b);
    block_release(&again);
    buf_release(&bytes);
    buf_release(&lines);
    block_codec_release(&codec);
    return 0;
}
