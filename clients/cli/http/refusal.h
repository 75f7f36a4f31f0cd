/* Reads why a service refused a request. The body of the answer is a problem document (application/problem+json). */
#ifndef FANTAIL_CLI_HTTP_REFUSAL_H
#define FANTAIL_CLI_HTTP_REFUSAL_H

#include "cli/http/connection.h"

/* Appends the reason, and the place in the job that the problem document names. */
void refusal_add_text(const struct connection *c, struct buf *text);
/* Complains with the status and the reason. Returns EXIT_JOB_FAILED. */
int refusal_complain(const struct connection *c);
/* Like refusal_complain(), for a request whose body was read from `file`; "-": standard input. If the body is wrong,
 * the message names the file. */
int refusal_complain_of_file(const struct connection *c, const char *file);

#endif
