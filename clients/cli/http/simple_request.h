/* One request that is waited for, without a body: what `fantail tasks` needs. */
#ifndef FANTAIL_CLI_HTTP_SIMPLE_REQUEST_H
#define FANTAIL_CLI_HTTP_SIMPLE_REQUEST_H

#include "cli/http/connection.h"

/* Returns EXIT_OK when an answer has come, of any status; else complains and returns EXIT_JOB_FAILED. Release the
 * target and c either way. */
MUST_CHECK int simple_request(struct target *t, struct connection *c, const struct target_config *config,
                              const char *method, const char *path, const char *headers);

#endif
