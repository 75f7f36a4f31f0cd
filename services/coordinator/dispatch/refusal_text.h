/*
 * What a worker says when it refuses the items of an attempt, as one phrase for the log, the trace and the items'
 * error. A pure module.
 */
#ifndef FANTAIL_COORDINATOR_DISPATCH_REFUSAL_TEXT_H
#define FANTAIL_COORDINATOR_DISPATCH_REFUSAL_TEXT_H

#include "common/base/buf.h"

#define REFUSAL_BODY_BYTES (16 * 1024) /* a longer body is not read */
#define REFUSAL_TEXT_SIZE  320         /* size of the phrase with its NUL; a longer sentence is cut */

/* `body` is the body of the answer. If the body is a problem (application/problem+json), the phrase contains the
 * "detail" of the problem. */
void refusal_text_write(char text[REFUSAL_TEXT_SIZE], int status, const struct buf *body);

#endif
