/*
 * The secrets that sign notices (HMAC-SHA256), and the signatures. While secrets are rotated, there may be several
 * secrets. If there are several secrets, a notice has one signature for each secret. Owner: the struct that embeds it.
 * A zeroed struct has no secret.
 */
#ifndef FANTAIL_COORDINATOR_NOTIFY_NOTICE_KEYS_H
#define FANTAIL_COORDINATOR_NOTIFY_NOTICE_KEYS_H

#include "common/base/buf.h"
#include "common/service/tokens.h"

#define NOTICE_KEYS_MAX        8
#define NOTICE_KEY_LEAST_BYTES 24
#define NOTICE_KEY_BYTES       64
#define NOTICE_KEY_PREFIX      "whsec_"

struct notice_keys {
    struct {
        unsigned char bytes[NOTICE_KEY_BYTES];
        size_t len;
    } list[NOTICE_KEYS_MAX];
    size_t count;
};

/* Decodes each token: whsec_BASE64, or only BASE64. If a token is not a valid secret, returns false, with a sentence in
 * err that does not quote the token. */
MUST_CHECK bool notice_keys_read(struct notice_keys *k, const struct tokens *tokens, char *err, size_t err_size);
/* Appends a signature "v1,BASE64" for each secret, separated by spaces. */
void notice_keys_sign(const struct notice_keys *k, const char *id, int64_t unix_s, const struct buf *body,
                      struct buf *out);
/* Overwrites the secrets in memory. */
void notice_keys_clear(struct notice_keys *k);

#endif
