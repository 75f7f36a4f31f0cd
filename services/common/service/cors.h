/*
 * Cross-origin resource sharing (the Fetch standard). It decides which origins' pages may use the public port from a
 * browser. A browser asks before most requests (a preflight, OPTIONS), and shows an answer to the page only if the
 * answer allows it. Without the option --cors-origin, no page of another origin can use the port.
 *
 * `origins` is the text of --cors-origin: origins separated by commas, or "*". NULL: none.
 */
#ifndef FANTAIL_COMMON_SERVICE_CORS_H
#define FANTAIL_COMMON_SERVICE_CORS_H

#include "common/http_server/http_server.h"

/* Returns false, with the reason in err, when `origins` is neither a list of origins nor "*". */
MUST_CHECK bool cors_check(const char *origins, char *err, size_t err_size);
/* Adds the headers that this standard requires in every answer. `asked` is the Origin of the request, or NULL. */
void cors_add_headers(const char *origins, const char *asked, struct buf *headers);
/* Answers x and returns true if x is a preflight. A preflight has no token, because browsers send none with it. */
MUST_CHECK bool cors_answer_preflight(const char *origins, struct http_exchange *x);

#endif
