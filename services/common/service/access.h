/*
 * Checks the tokens of requests. A request must send one of the tokens of a file ("Authorization: Bearer TOKEN", RFC
 * 6750). A request without a valid token is answered with 401 and the reason, before its body is read. If there is no
 * token file, every request is admitted. Private to service*.c, except access_classify().
 */
#ifndef FANTAIL_COMMON_SERVICE_ACCESS_H
#define FANTAIL_COMMON_SERVICE_ACCESS_H

#include "common/http_server/http_server.h"
#include "common/observe/metrics.h"
#include "common/service/token_file.h"

enum access_verdict { ACCESS_GRANTED, ACCESS_MISSING, ACCESS_MALFORMED, ACCESS_UNKNOWN, ACCESS_VERDICT_COUNT };

struct access {
    struct token_file file;                  /* if it has no path, every request is admitted */
    uint64_t *refused[ACCESS_VERDICT_COUNT]; /* counters */
};

/* Reads the file, watches it and registers the metrics. On failure it returns false, with a sentence in err. */
MUST_CHECK bool access_start(struct access *a, uv_loop_t *loop, const char *path, char *err, size_t err_size);
/* Reads the file again. */
void access_reload(struct access *a);
/* Emits a sample with the value 1 for each token; its label is the token's fingerprint. */
void access_show_tokens(const struct access *a, struct metric_emitter *to);
/* Stops watching the file. A zeroed struct is fine. The loop must keep running until the timer of the watch is
 * closed. */
void access_stop(struct access *a);
/* A zeroed struct is fine. */
void access_release(struct access *a);
/* Returns true if the request may proceed. If the request may not proceed, answers with 401 and returns false. */
MUST_CHECK bool access_admit(struct access *a, struct http_exchange *x);

/* Checks an Authorization header, which is NULL when there is none. Pure. */
enum access_verdict access_classify(const struct tokens *tokens, const char *authorization);

#endif
