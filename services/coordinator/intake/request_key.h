/*
 * The Idempotency-Key of a request, and a digest of the request. Two requests with the same key and the same digest ask
 * for the same job. Owner: the intake.
 */
#ifndef FANTAIL_COORDINATOR_INTAKE_REQUEST_KEY_H
#define FANTAIL_COORDINATOR_INTAKE_REQUEST_KEY_H

#include "common/http_server/http_server.h"

enum { REQUEST_KEY_BYTES = 255 };

/* A zeroed struct has no key. */
struct request_key {
    char *key;    /* NULL: none */
    char *digest; /* digest of the request as text; NULL before request_key_finish(), or if there is no key */

    void *hash; /* private; NULL when the digest is finished, or when there is no key */
};

/* Returns whether the header has a key of 1 to REQUEST_KEY_BYTES printable ASCII characters. If the header begins with
 * a quote, it must be a string of RFC 8941: in quotes, with \ before each quote and each backslash of the key. The IETF
 * draft of the header requires a string of RFC 8941, but many clients send the key without quotes. */
bool request_key_is_valid(const char *header);
/* Reads the key, which must be valid, and begins the digest with the query of the request and the format of the body.
 * Does nothing without a key. */
void request_key_begin(struct request_key *k, struct http_exchange *x, int format);
/* Adds bytes of the body to the digest. */
void request_key_add(struct request_key *k, const char *data, size_t len);
/* Sets the digest. Does nothing without a key. */
void request_key_finish(struct request_key *k);
/* Releasing a zeroed or released key is fine. */
void request_key_release(struct request_key *k);

#endif
