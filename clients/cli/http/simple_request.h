/* Makes one request without a body and waits for its answer. `fantail tasks` needs only this kind of request. */
#ifndef FANTAIL_CLI_HTTP_SIMPLE_REQUEST_H
#define FANTAIL_CLI_HTTP_SIMPLE_REQUEST_H

#include "cli/http/connection.h"

/* Returns EXIT_OK when an answer has arrived, whatever its status. Otherwise complains and returns EXIT_JOB_FAILED. The
 * caller releases the target and c in both cases. */
MUST_CHECK int simple_request(struct target *t, struct connection *c, const struct target_config *config,
                              const char *method, const char *path, const char *headers);

#endif
