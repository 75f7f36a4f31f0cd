#include "coordinator/intake/request_key.h"

#include <gnutls/crypto.h>

/* Decodes the key in the header. Returns false if the header is not valid. A key in quotes is a string of
 * RFC 8941, section 3.3.3. */
static bool decode(const char *header, char key[REQUEST_KEY_BYTES + 1])
{
    size_t len = strlen(header), n = 0;
    bool is_string = header[0] == '"';
    if (is_string && (len < 2 || header[len - 1] != '"')) return false;
    const char *end = header + len - is_string;
    for (const char *at = header + is_string; at < end; at++) {
        if (is_string && *at == '"') return false;
        if (is_string && *at == '\\') {
            at++;
            if (at == end || !strchr("\"\\", *at)) return false;
        }
        if (*at < ' ' || *at > '~' || n == REQUEST_KEY_BYTES) return false;
        key[n++] = *at;
    }
    key[n] = '\0';
    return n > 0;
}

bool request_key_is_valid(const char *header)
{
    char key[REQUEST_KEY_BYTES + 1];
    return decode(header, key);
}

static void add_query(void *data, const char *name, const char *value)
{
    struct request_key *k = data;
    request_key_add(k, name, strlen(name) + 1);
    request_key_add(k, value, strlen(value) + 1);
}

void request_key_begin(struct request_key *k, struct http_exchange *x, int format)
{
    const char *header = http_exchange_header(x, "Idempotency-Key");
    char key[REQUEST_KEY_BYTES + 1];
    gnutls_hash_hd_t hash;
    if (!header) return;
    if (!decode(header, key)) BUG("the request was admitted with a wrong key");
    k->key = xstrdup(key);
    if (gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) != 0) BUG("no SHA-256");
    k->hash = hash;
    http_exchange_each_query(x, add_query, k);
    const char format_byte = (char)format;
    request_key_add(k, &format_byte, 1);
}

void request_key_add(struct request_key *k, const char *data, size_t len)
{
    if (k->hash) gnutls_hash(k->hash, data, len);
}

void request_key_finish(struct request_key *k)
{
    unsigned char bytes[32];
    struct buf out = {0};
    size_t len;
    if (!k->hash) return;
    gnutls_hash_deinit(k->hash, bytes);
    k->hash = NULL;
    for (size_t i = 0; i < sizeof bytes; i++) buf_addf(&out, "%02x", bytes[i]);
    buf_cstr(&out);
    k->digest = buf_detach(&out, &len);
}

void request_key_release(struct request_key *k)
{
    if (k->hash) gnutls_hash_deinit(k->hash, NULL);
    free(k->key);
    free(k->digest);
    *k = (struct request_key){0};
}
