/*
 * A hash of bytes, and a hash table whose links are members of the structs in it. Adding, finding and removing a link
 * take constant time on average. CONTAINER_OF converts a link to its struct. A search returns links with equal hashes
 * newest first; the caller compares their keys. The table owns its buckets, but not the structs.
 *
 * The hash is not safe against a peer that chooses bytes with equal hashes on purpose.
 */
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

struct hash_link {
    struct hash_link *next;
    uint64_t hash;
};

/* A zeroed table is empty. */
struct hash_table {
    struct hash_link **buckets;
    size_t n, size; /* number of links; number of buckets, a power of two */
    uint64_t steps; /* number of links compared since the start, for tests */
};

void hash_add(struct hash_table *t, struct hash_link *link, uint64_t hash);
/* Removes the link, which must be in this table. */
void hash_remove(struct hash_table *t, struct hash_link *link);
/* Returns the first link with this hash, or, if `after` is not NULL, the next one after it. Returns NULL when there is
 * none. */
struct hash_link *hash_find(struct hash_table *t, uint64_t hash, const struct hash_link *after);
void hash_release(struct hash_table *t);

#endif
