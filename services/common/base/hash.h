/* A hash of bytes. It gives no protection against a peer that chooses bytes whose hashes collide. */
#ifndef FANTAIL_COMMON_BASE_HASH_H
#define FANTAIL_COMMON_BASE_HASH_H

#include "common/base/base.h"

/* FNV-1a, 64 bits. */
static inline uint64_t hash_bytes(const char *bytes, size_t len)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < len; i++) h = (h ^ (unsigned char)bytes[i]) * 1099511628211u;
    return h;
}

static inline uint64_t hash_text(const char *s)
{
    return hash_bytes(s, strlen(s));
}

#endif
