/*
 * Turns the ranges and the lines of a block into bytes for a database, and back. The ranges and the lines are separate
 * byte strings, because the ranges of many blocks are read without their lines.
 *
 *     ranges: version (1 byte), number of ranges, then two numbers for each range, then a hash
 *     lines:  version (1 byte), then one zstd frame with its size and a checksum; without lines there are no bytes
 *
 * The first number of a range is its first index minus the end of the previous range. The second number is twice the
 * length of the range, plus 1 if the range is repeated. All numbers are LEB128. The first number of a range is signed
 * (zigzag). The hash is the FNV-1a hash of all previous bytes (4 bytes, little-endian).
 *
 * The decoders are safe with any input: damaged bytes give an error, and sizes are checked before memory is allocated.
 * These functions run on the threads of the store.
 * Pure.
 */
#ifndef FANTAIL_COORDINATOR_STORE_BLOCK_CODEC_H
#define FANTAIL_COORDINATOR_STORE_BLOCK_CODEC_H

#include "coordinator/store/store.h"

/* The compressor and the decompressor, kept for the next block. Each thread needs its own codec. A zeroed struct is
 * ready. */
struct block_codec {
    struct ZSTD_CCtx_s *compressor;
    struct ZSTD_DCtx_s *decompressor;
};
void block_codec_release(struct block_codec *c);

/* Empties a buffer of encoded bytes, and keeps its memory for the next block unless the buffer is large. */
void block_bytes_clear(struct buf *b);

/* These functions append to `out`, which must have no cap. One line of a block may have 64 MiB, so there may be too
 * little memory for the lines. In that case, block_lines_encode() returns false and appends nothing. */
void block_ranges_encode(const struct block *b, struct buf *out);
MUST_CHECK bool block_lines_encode(struct block_codec *c, const struct buf *lines, struct buf *out);

enum block_decoded { BLOCK_DECODED, BLOCK_DAMAGED, BLOCK_NO_MEMORY };

/* block_ranges_decode() fills b->ranges. block_lines_decode() appends to `lines`, which must have no cap. If the bytes
 * are damaged, both functions set *why to the fault. On failure, the functions change nothing else. */
MUST_CHECK bool block_ranges_decode(const void *bytes, size_t len, struct block *b, const char **why);
MUST_CHECK enum block_decoded block_lines_decode(struct block_codec *c, const void *bytes, size_t len,
                                                 struct buf *lines, const char **why);

#endif
