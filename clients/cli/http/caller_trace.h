/* The trace that this program is part of, from the environment variables TRACEPARENT and TRACESTATE of OpenTelemetry.
 * Jobs join that trace. */
#ifndef FANTAIL_CLI_HTTP_CALLER_TRACE_H
#define FANTAIL_CLI_HTTP_CALLER_TRACE_H

#include "common/base/buf.h"

/* Appends the header lines, each with its CRLF. Appends nothing if this program is not part of a trace. */
void caller_trace_add(struct buf *headers);

#endif
