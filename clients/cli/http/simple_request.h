/* One request, waited for: what `fantail tasks` and `fantail submit` need. */
#ifndef FANTAIL_CLI_HTTP_SIMPLE_REQUEST_H
#define FANTAIL_CLI_HTTP_SIMPLE_REQUEST_H

#include "cli/http/connection.h"

/* Connects and complains when it cannot; then returns EXIT_JOB_FAILED, else 0. Release the target and c either way. */
MUST_CHECK int simple_request(struct target *t, struct connection *c, const struct client_config *config,
                              const char *method, const char *path, const char *headers, struct buf *body);
/* Says why the service refused, from its problem document. Returns EXIT_JOB_FAILED. */
int simple_request_refused(const struct connection *c);

/* The reason of a problem document, and the place in the job it names. */
void refusal_text(const struct connection *c, struct buf *text);

#endif
