/* Encodes and decodes blocks, and decodes damaged bytes. */
#include <criterion/criterion.h>

#include "common/base/memory_room.h"
#include "coordinator/store/block_codec.h"
#include "unit/leaks.h"

static struct block block_of(const struct block_range *ranges, size_t n)
{
    struct block b = {.ranges = xcalloc(n ? n : 1, sizeof *ranges), .range_count = n};
    if (n) memcpy(b.ranges, ranges, n * sizeof *ranges);
    return b;
}

static const struct block_range some[] = {
    {5, 3, false}, {0, 5, true}, {1000000, 1, false}, {8, 999992, false}, {999999999999, 1, true},
};

Test(block_codec, ranges_come_back_in_their_order)
{
    const char *why;
    struct buf bytes = {0};
    struct block b = block_of(some, ARRAY_SIZE(some)), back = {0};
    block_ranges_encode(&b, &bytes);
    cr_assert_lt(bytes.len, 40);
    cr_assert(block_ranges_decode(bytes.data, bytes.len, &back, &why), "%s", why);
    cr_assert_eq(back.range_count, ARRAY_SIZE(some));
    for (size_t i = 0; i < ARRAY_SIZE(some); i++) {
        cr_assert_eq(back.ranges[i].first, some[i].first);
        cr_assert_eq(back.ranges[i].n, some[i].n);
        cr_assert_eq(back.ranges[i].repeated, some[i].repeated);
    }
    block_release(&b);
    b = block_of(NULL, 0);
    buf_clear(&bytes);
    block_ranges_encode(&b, &bytes);
    cr_assert(block_ranges_decode(bytes.data, bytes.len, &back, &why), "the earlier content of the block is released");
    cr_assert_eq(back.range_count, 0);
    block_release(&b);
    block_release(&back);
    buf_release(&bytes);
    assert_no_leaks();
}

Test(block_codec, lines_come_back_and_shrink)
{
    const char *why;
    struct block_codec c = {0};
    struct buf lines = {0}, bytes = {0}, back = {0};
    cr_assert(block_lines_encode(&c, &lines, &bytes));
    cr_assert_eq(bytes.len, 0, "no lines are encoded as no bytes");
    cr_assert_eq(block_lines_decode(&c, bytes.data, bytes.len, &back, &why), BLOCK_DECODED);
    cr_assert_eq(back.len, 0);
    for (unsigned i = 0; i < 100000; i++) buf_addf(&lines, "{\"value\":%u}\n", i);
    for (unsigned round = 0; round < 2; round++) {
        buf_clear(&bytes);
        buf_clear(&back);
        cr_assert(block_lines_encode(&c, &lines, &bytes));
        cr_assert_lt(bytes.len, lines.len / 3);
        cr_assert_eq(block_lines_decode(&c, bytes.data, bytes.len, &back, &why), BLOCK_DECODED, "%s", why);
        cr_assert_eq(back.len, lines.len);
        cr_assert_eq(memcmp(back.data, lines.data, lines.len), 0);
    }
    block_codec_release(&c);
    buf_release(&lines);
    buf_release(&bytes);
    buf_release(&back);
    assert_no_leaks();
}

static bool has_no_memory(size_t bytes)
{
    return false;
}

Test(block_codec, long_lines_wait_for_memory)
{
    const char *why;
    bool (*kernel)(size_t) = memory_probe;
    struct block_codec c = {0};
    struct buf lines = {0}, bytes = {0}, back = {0};
    for (unsigned i = 0; i < 100000; i++) buf_addf(&lines, "{\"value\":%u}\n", i);
    memory_probe = has_no_memory;
    cr_assert(!block_lines_encode(&c, &lines, &bytes) && bytes.len == 0);
    memory_probe = kernel;
    cr_assert(block_lines_encode(&c, &lines, &bytes));
    memory_probe = has_no_memory;
    cr_assert_eq(block_lines_decode(&c, bytes.data, bytes.len, &back, &why), BLOCK_NO_MEMORY);
    cr_assert_eq(back.len, 0);
    memory_probe = kernel;
    cr_assert_eq(block_lines_decode(&c, bytes.data, bytes.len, &back, &why), BLOCK_DECODED);
    cr_assert_eq(back.len, lines.len);
    block_codec_release(&c);
    buf_release(&lines);
    buf_release(&bytes);
    buf_release(&back);
    assert_no_leaks();
}

Test(block_codec, every_flipped_bit_and_every_cut_is_noticed)
{
    const char *why;
    struct block_codec c = {0};
    struct block b = block_of(some, ARRAY_SIZE(some)), back = {0};
    struct buf bytes[2] = {{0}}, lines = {0};
    buf_add_str(&b.lines, "{\"value\":1}\n{\"value\":1}\n{\"value\":2}\n");
    block_ranges_encode(&b, &bytes[0]);
    cr_assert(block_lines_encode(&c, &b.lines, &bytes[1]));
    for (unsigned part = 0; part < 2; part++) {
        char *data = bytes[part].data;
        for (size_t i = 0; i < bytes[part].len * 8; i++) {
            data[i / 8] = (char)(data[i / 8] ^ 1 << i % 8);
            why = NULL;
            bool ok = part == 0 ? block_ranges_decode(data, bytes[0].len, &back, &why)
                                : block_lines_decode(&c, data, bytes[1].len, &lines, &why) == BLOCK_DECODED;
            /* If a changed bit in the zstd header has no meaning, the lines can still be decoded, and they must be
             * right. */
            if (ok) cr_assert(part == 1 && lines.len == b.lines.len && !memcmp(lines.data, b.lines.data, lines.len));
            if (!ok) cr_assert_not_null(why);
            buf_clear(&lines);
            data[i / 8] = (char)(data[i / 8] ^ 1 << i % 8);
        }
        for (size_t cut = part; cut < bytes[part].len; cut++)
            cr_assert_not(part == 0 ? block_ranges_decode(data, cut, &back, &why)
                                    : block_lines_decode(&c, data, cut, &lines, &why) == BLOCK_DECODED);
    }
    cr_assert_null(back.ranges);
    cr_assert_eq(lines.len, 0);
    block_release(&b);
    block_codec_release(&c);
    buf_release(&lines);
    buf_release(&bytes[0]);
    buf_release(&bytes[1]);
    assert_no_leaks();
}

/* Checks that the decoder refuses ranges that the encoder would never write, although the checksum of the ranges is
 * right. */
static void assert_refused(const char *bytes, size_t len)
{
    const char *why;
    struct block back = {0};
    unsigned char whole[64];
    memcpy(whole, bytes, len);
    uint32_t sum = UINT32_C(2166136261);
    for (size_t i = 0; i < len; i++) sum = (sum ^ whole[i]) * UINT32_C(16777619);
    for (unsigned i = 0; i < 4; i++) whole[len + i] = (unsigned char)(sum >> 8 * i);
    cr_assert_not(block_ranges_decode(whole, len + 4, &back, &why));
    cr_assert_str_eq(why, "its ranges are wrong");
}

Test(block_codec, ranges_that_cannot_be_are_refused)
{
    assert_refused("\x01\x02\x00\x02", 4);                                      /* says two ranges, but has one */
    assert_refused("\x01\x01\x00\x00", 4);                                      /* an empty range */
    assert_refused("\x01\x01\x01\x02", 4);                                      /* before the first item */
    assert_refused("\x01\x01\x00\x02\x00", 5);                                  /* something follows */
    assert_refused("\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x02", 13); /* very many */
    assert_refused("\x01\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13); /* very long */
    assert_refused("\x01\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 14);
    assert_no_leaks();
}
