/*
 * Access by tokens. A request must have one of the tokens of a file ("Authorization: Bearer TOKEN", RFC 6750). Without
 * one it is answered 401 with the reason, before its body is read. Without a file every request is admitted.
 * Private to service*.c, except access_classify().
 */
#ifndef FANTAIL_COMMON_SERVICE_ACCESS_H
#define FANTAIL_COMMON_SERVICE_ACCESS_H

#include "common/http_server/http_server.h"
#include "common/service/tokens.h"

enum access_verdict { ACCESS_GRANTED, ACCESS_MISSING, ACCESS_MALFORMED, ACCESS_UNKNOWN, ACCESS_VERDICT_COUNT };

struct access {
    const char *path; /* path of the file; NULL: every request is admitted; borrowed */
    struct tokens tokens;
    uint64_t *refused[ACCESS_VERDICT_COUNT]; /* counters */
};

/* Reads the file and registers the metrics. On failure it returns false, with a sentence in err. */
MUST_CHECK bool access_start(struct access *a, const char *path, char *err, size_t err_size);
/* Reads the file again. */
void access_reload(struct access *a);
/* A zeroed struct is fine. */
void access_release(struct access *a);
/* Returns true if the request may go on. Otherwise answers 401 and returns false. */
MUST_CHECK bool access_admit(struct access *a, struct http_exchange *x);

/* Checks an Authorization header, which is NULL when there is none. Pure. */
enum access_verdict access_classify(const struct tokens *tokens, const char *authorization);

#endif
