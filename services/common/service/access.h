/*
 * Who may ask: requests must carry one of the tokens of a file ("Authorization: Bearer TOKEN", RFC 6750), or are
 * answered 401 with the reason, before their body is read. Without a file everybody may.
 * Private to service*.c, but for the two functions that need no service.
 */
#ifndef FANTAIL_COMMON_SERVICE_ACCESS_H
#define FANTAIL_COMMON_SERVICE_ACCESS_H

#include "common/http_server/http_server.h"
#include "common/service/tokens.h"

enum access_verdict { ACCESS_GRANTED, ACCESS_MISSING, ACCESS_MALFORMED, ACCESS_UNKNOWN, ACCESS_VERDICT_COUNT };

struct access {
    const char *path; /* of the file; NULL: everybody may; borrowed */
    struct tokens tokens;
    uint64_t *refused[ACCESS_VERDICT_COUNT]; /* counters */
};

/* False with a sentence in err. Registers its metrics. */
MUST_CHECK bool access_start(struct access *a, const char *path, char *err, size_t err_size);
/* Reads the file again. */
void access_reload(struct access *a);
/* May be called on a zeroed one. */
void access_release(struct access *a);
/* False after answering 401. */
MUST_CHECK bool access_admit(struct access *a, struct http_exchange *x);

/* What an Authorization header (NULL: none) is worth. Pure. */
enum access_verdict access_judge(const struct tokens *tokens, const char *authorization);
/* Takes the file's tokens in place of those in t. A file that cannot be read or holds none leaves them as they are, and
 * the log says so. True when they were taken. `option` is named in the log. */
bool access_read_again(struct tokens *t, const char *option, const char *path);

#endif
