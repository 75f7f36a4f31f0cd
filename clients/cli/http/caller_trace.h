/* The span that this program runs in, as OpenTelemetry passes it in environments: TRACEPARENT and TRACESTATE. Jobs
 * become part of it. */
#ifndef FANTAIL_CLI_HTTP_CALLER_TRACE_H
#define FANTAIL_CLI_HTTP_CALLER_TRACE_H

#include "common/base/buf.h"

/* Header lines, each ended by CRLF; nothing when there is no such span. */
void caller_trace_add(struct buf *headers);

#endif
