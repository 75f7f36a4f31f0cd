/* Reads why a service refused a request. The body of the answer is a problem document (application/problem+json). */
#ifndef FANTAIL_CLI_HTTP_REFUSAL_H
#define FANTAIL_CLI_HTTP_REFUSAL_H

#include "cli/http/connection.h"

/* Returns who probably sent an answer that is not a problem document of a coordinator, and what to do. Returns NULL if
 * a coordinator may have sent the answer, or if the status suggests no other sender. */
const char *refusal_of_proxy(const struct connection *c);
/* Appends the reason, and the place in the job that the problem document names. */
void refusal_add_text(const struct connection *c, struct buf *text);
/* Complains with the status and the reason. Returns EXIT_JOB_FAILED. */
int refusal_complain(const struct connection *c);
/* Like refusal_complain(), for a request whose body was read from `file`. If `file` is "-", the body was read from
 * standard input. If the body is wrong, the message names the file. */
int refusal_complain_of_file(const struct connection *c, const char *file);

#endif
