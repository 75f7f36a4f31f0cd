#include "common/base/hash.h"

enum { SIZE_MIN = 16 };

static struct hash_link **bucket_of(const struct hash_table *t, uint64_t hash)
{
    return &t->buckets[(hash ^ hash >> 32) & (t->size - 1)];
}

static void put(struct hash_table *t, struct hash_link *link)
{
    struct hash_link **bucket = bucket_of(t, link->hash);
    link->next = *bucket;
    *bucket = link;
}

/* Links are moved oldest first, so that links with equal hashes keep their order. */
static void move_bucket(struct hash_table *t, struct hash_link *link)
{
    struct hash_link *oldest = NULL;
    for (struct hash_link *next; link; link = next) {
        next = link->next;
        link->next = oldest;
        oldest = link;
    }
    for (struct hash_link *next; oldest; oldest = next) {
        next = oldest->next;
        put(t, oldest);
    }
}

static void grow(struct hash_table *t)
{
    struct hash_table old = *t;
    t->size = old.size ? 2 * old.size : SIZE_MIN;
    t->buckets = xcalloc(t->size, sizeof(struct hash_link *));
    for (size_t i = 0; i < old.size; i++) move_bucket(t, old.buckets[i]);
    free(old.buckets);
}

void hash_add(struct hash_table *t, struct hash_link *link, uint64_t hash)
{
    if (t->n == t->size) grow(t);
    link->hash = hash;
    put(t, link);
    t->n++;
}

void hash_remove(struct hash_table *t, struct hash_link *link)
{
    struct hash_link **at = t->size ? bucket_of(t, link->hash) : NULL;
    for (; at && *at && *at != link; at = &(*at)->next) t->steps++;
    if (!at || !*at) BUG("a link is not in this table");
    *at = link->next;
    t->n--;
}

struct hash_link *hash_find(struct hash_table *t, uint64_t hash, const struct hash_link *after)
{
    if (t->size == 0) return NULL;
    struct hash_link *at = after ? after->next : *bucket_of(t, hash);
    for (; at; at = at->next) {
        t->steps++;
        if (at->hash == hash) return at;
    }
    return NULL;
}

void hash_release(struct hash_table *t)
{
    free(t->buckets);
    *t = (struct hash_table){0};
}
