/*
 * The Idempotency-Key of a request, and a digest of the request. Two requests with the same key and the same digest ask
 * for the same job. Owner: the intake.
 */
#ifndef FANTAIL_COORDINATOR_DURABLE_REQUEST_KEY_H
#define FANTAIL_COORDINATOR_DURABLE_REQUEST_KEY_H

#include "common/http_server/http_server.h"

enum { REQUEST_KEY_BYTES = 255 };

/* A zeroed struct has no key. */
struct request_key {
    char *key;    /* NULL: none */
    void *digest; /* private; NULL when the digest is finished, or when there is no key */
};

/* Returns whether a key has 1 to REQUEST_KEY_BYTES printable ASCII characters. Quotes around the key do not count. The
 * draft RFC of the header demands quotes, but many clients send none. */
bool request_key_is_valid(const char *key);
/* Reads the key and the query of the request. `format` is the body's format. Does nothing without a key. */
void request_key_begin(struct request_key *k, struct http_exchange *x, int format);
/* Adds bytes of the body to the digest. */
void request_key_add(struct request_key *k, const char *data, size_t len);
/* Returns the digest as text, or NULL if there is no key. The caller frees it. */
char *request_key_finish(struct request_key *k);
/* Releasing a zeroed or released key is fine. */
void request_key_release(struct request_key *k);

#endif
