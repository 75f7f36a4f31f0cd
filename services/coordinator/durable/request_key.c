#include "coordinator/durable/request_key.h"

#include <gnutls/crypto.h>

/* Returns the key without its quotes, if it has quotes, and sets *len. */
static const char *without_quotes(const char *key, size_t *len)
{
    *len = strlen(key);
    if (*len < 2 || key[0] != '"' || key[*len - 1] != '"') return key;
    *len -= 2;
    return key + 1;
}

bool request_key_is_valid(const char *key)
{
    size_t len;
    key = without_quotes(key, &len);
    for (size_t i = 0; i < len; i++)
        if (key[i] < ' ' || key[i] > '~') return false;
    return len > 0 && len <= REQUEST_KEY_BYTES;
}

static void add_query(void *data, const char *name, const char *value)
{
    struct request_key *k = data;
    request_key_add(k, name, strlen(name) + 1);
    request_key_add(k, value, strlen(value) + 1);
}

void request_key_begin(struct request_key *k, struct http_exchange *x, int format)
{
    const char *key = http_exchange_header(x, "Idempotency-Key");
    gnutls_hash_hd_t digest;
    size_t len;
    if (!key) return;
    key = without_quotes(key, &len);
    k->key = xstrndup(key, len);
    if (gnutls_hash_init(&digest, GNUTLS_DIG_SHA256) != 0) BUG("no SHA-256");
    k->digest = digest;
    http_exchange_each_query(x, add_query, k);
    const char format_byte = (char)format;
    request_key_add(k, &format_byte, 1);
}

void request_key_add(struct request_key *k, const char *data, size_t len)
{
    if (k->digest) gnutls_hash(k->digest, data, len);
}

char *request_key_finish(struct request_key *k)
{
    unsigned char hash[32];
    struct buf out = {0};
    size_t len;
    if (!k->digest) return NULL;
    gnutls_hash_deinit(k->digest, hash);
    k->digest = NULL;
    for (size_t i = 0; i < sizeof hash; i++) buf_addf(&out, "%02x", hash[i]);
    buf_cstr(&out);
    return buf_detach(&out, &len);
}

void request_key_release(struct request_key *k)
{
    if (k->digest) gnutls_hash_deinit(k->digest, NULL);
    free(k->key);
    *k = (struct request_key){0};
}
