#include "coordinator/notify/notice_keys.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

enum { DIGEST_BYTES = 32 };

static bool read_key(struct notice_keys *k, const char *token)
{
    size_t prefix = strlen(NOTICE_KEY_PREFIX);
    const char *text = strncmp(token, NOTICE_KEY_PREFIX, prefix) == 0 ? token + prefix : token;
    unsigned char copy[LIMIT_TOKEN_BYTES + 1]; /* gnutls_datum_t points to bytes that are not const */
    const gnutls_datum_t encoded = {copy, (unsigned)strlen(text)};
    gnutls_datum_t decoded = {0};
    if (k->count == NOTICE_KEYS_MAX) return false;
    memcpy(copy, text, encoded.size);
    int fault = gnutls_base64_decode2(&encoded, &decoded);
    explicit_bzero(copy, sizeof copy);
    if (fault) return false;
    bool ok = decoded.size >= NOTICE_KEY_LEAST_BYTES && decoded.size <= NOTICE_KEY_BYTES;
    if (ok) {
        memcpy(k->list[k->count].bytes, decoded.data, decoded.size);
        k->list[k->count++].len = decoded.size;
    }
    explicit_bzero(decoded.data, decoded.size);
    gnutls_free(decoded.data);
    return ok;
}

bool notice_keys_read(struct notice_keys *k, const struct tokens *tokens, char *err, size_t err_size)
{
    *k = (struct notice_keys){0};
    for (size_t i = 0; i < tokens->count; i++) {
        if (read_key(k, tokens->list[i])) continue;
        notice_keys_clear(k);
        snprintf(err, err_size,
                 "secret %zu is not valid: give at most %d lines, each %sBASE64 of %d to %d random bytes, for example "
                 "the output of: "
                 "echo %s$(openssl rand -base64 32)",
                 i + 1, NOTICE_KEYS_MAX, NOTICE_KEY_PREFIX, NOTICE_KEY_LEAST_BYTES, NOTICE_KEY_BYTES,
                 NOTICE_KEY_PREFIX);
        return false;
    }
    return true;
}

static void add_base64(struct buf *out, unsigned char *bytes, size_t len)
{
    const gnutls_datum_t raw = {bytes, (unsigned)len};
    gnutls_datum_t encoded = {0};
    if (gnutls_base64_encode2(&raw, &encoded) != 0) BUG("no base64");
    buf_add(out, encoded.data, encoded.size);
    gnutls_free(encoded.data);
}

void notice_keys_sign(const struct notice_keys *k, const char *id, int64_t unix_s, const struct buf *body,
                      struct buf *out)
{
    unsigned char digest[DIGEST_BYTES];
    struct buf text = {0};
    buf_addf(&text, "%s.%lld.", id, (long long)unix_s);
    buf_add(&text, body->data, body->len);
    for (size_t i = 0; i < k->count; i++) {
        if (gnutls_hmac_fast(GNUTLS_MAC_SHA256, k->list[i].bytes, k->list[i].len, text.data, text.len, digest) != 0)
            BUG("no HMAC-SHA256");
        buf_add_str(out, i ? " v1," : "v1,");
        add_base64(out, digest, sizeof digest);
    }
    buf_release(&text);
}

void notice_keys_clear(struct notice_keys *k)
{
    explicit_bzero(k, sizeof *k);
}
