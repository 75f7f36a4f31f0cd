/*
 * Cross-origin resource sharing (CORS, the Fetch standard): tells browsers which web pages may use the public port. The
 * origin of a page decides this. Before most requests of a page, a browser asks whether the page may send the request
 * (a preflight, with the method OPTIONS). The browser shows an answer to the page only if headers of the answer allow
 * this page to read it. Without the option --cors-origin, no page of another origin can read an answer, or send a
 * request that needs a preflight.
 *
 * `origins` is the text of --cors-origin: origins separated by commas, or "*". NULL: none.
 */
#ifndef FANTAIL_COMMON_SERVICE_CORS_H
#define FANTAIL_COMMON_SERVICE_CORS_H

#include "common/http_server/http_server.h"

/* Returns false, with the reason in err, if `origins` is neither a list of origins nor "*". */
MUST_CHECK bool cors_check(const char *origins, char *err, size_t err_size);
/* Adds the CORS headers that every answer must have. `asked` is the Origin header of the request, or NULL. */
void cors_add_headers(const char *origins, const char *asked, struct buf *headers);
/* If x is a preflight of a page whose origin is allowed, answers x and returns true. A preflight needs no token,
 * because browsers send preflights without a token. */
MUST_CHECK bool cors_answer_preflight(const char *origins, struct http_exchange *x);

#endif
