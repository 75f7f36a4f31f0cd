/* Cuts a fuzzer's input into pieces of sizes the input itself chooses. */
#ifndef FANTAIL_FUZZ_PIECES_H
#define FANTAIL_FUZZ_PIECES_H

#include "common/base/base.h"

/* A small generator: any seed gives a sequence, the same one each time. */
static inline uint32_t fuzz_next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 16;
}

/* The size of the next piece of what is left: mostly a few bytes, now and then many. */
static inline size_t fuzz_piece(uint32_t *state, size_t left)
{
    uint32_t n = fuzz_next(state);
    size_t size = n % 4 == 0 ? 1 + n % 200 : 1 + n % 5;
    return size < left ? size : left;
}

/* A copy of its exact size, so that a sanitizer sees every step beyond it. free() it. */
MUST_CHECK static inline char *fuzz_copy(const char *data, size_t len)
{
    char *copy = xmalloc(len);
    if (len) memcpy(copy, data, len);
    return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#endif
