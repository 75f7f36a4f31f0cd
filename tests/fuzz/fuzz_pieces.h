/* Cuts the input of a fuzzer into pieces. A seed, such as the first bytes of the input, determines the sizes of the
 * pieces. */
#ifndef FANTAIL_FUZZ_PIECES_H
#define FANTAIL_FUZZ_PIECES_H

#include "common/base/base.h"

/* A simple generator of random numbers: each seed always gives the same sequence. */
static inline uint32_t fuzz_next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 16;
}

/* Returns the size of the next piece of the remaining bytes. This size is usually small, and sometimes large. */
static inline size_t fuzz_piece(uint32_t *state, size_t left)
{
    uint32_t n = fuzz_next(state);
    size_t size = n % 4 == 0 ? 1 + n % 200 : 1 + n % 5;
    return size < left ? size : left;
}

/* Returns a copy in an allocation of exactly len bytes, so that a sanitizer reports every access past its end. The
 * caller frees it. */
MUST_CHECK static inline char *fuzz_copy(const char *data, size_t len)
{
    char *copy = xmalloc(len);
    if (len) memcpy(copy, data, len);
    return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#endif
