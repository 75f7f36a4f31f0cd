/*
 * Sends finished spans to an OTLP/HTTP collector, in batches. Adding a span costs the service little, because the span
 * is only appended to a queue of limited size. If the queue is full, new spans are dropped, and fantail_spans_total
 * counts them. The log gets one line when spans can no longer be delivered, and one more when they are delivered again.
 *
 *     IDLE ----- a batch is full, or its delay is over -----> SENDING ----- 2xx, or refused for good --+
 *      ^                                                        ^  |                                   |
 *      |                                             delay over |  | 429, 502 to 504, no connection    |
 *      |                                                        |  v                                   |
 *      +------------------------------------------------------ WAITING (Retry-After, else backoff)     |
 *      +-----------------------------------------------------------------------------------------------+
 *
 * The exporter owns its HTTP client and timer. Single-threaded. The exporter does not depend on what a span means.
 */
#ifndef FANTAIL_COMMON_TRACE_TRACE_EXPORT_H
#define FANTAIL_COMMON_TRACE_TRACE_EXPORT_H

#include <uv.h>

#include "common/observe/otlp.h"
#include "common/observe/trace_config.h"

struct trace_export;

/* Calls trace_config_read() with getenv(). */
MUST_CHECK bool trace_export_configure(struct trace_config *config, char *err, size_t err_size);
/* Takes ownership of `config`. Returns NULL if tracing is off, but registers the counters in any case. `service` (such
 * as "fantail-worker") and `instance` become attributes of the resource. */
MUST_CHECK struct trace_export *trace_export_new(uv_loop_t *loop, struct trace_config *config, const char *service,
                                                 const char *instance);
/* Tries to send the remaining spans for up to TRACE_CLOSE_MS, and then frees t. The loop must keep running until t is
 * freed. NULL is fine. */
void trace_export_close(struct trace_export *t);
#define TRACE_CLOSE_MS 2000

/* Creates the context of a new span. If `parent` is NULL, the span begins a new trace. The sampler decides whether the
 * trace is recorded, unless `parent` is a span of this service. */
void trace_export_begin(struct trace_export *t, struct trace_context *context, const struct trace_context *parent,
                        bool parent_is_ours);
/* Adds a span that has ended. Ignores a span whose trace is not recorded. */
void trace_export_add(struct trace_export *t, const struct span *s);

#endif
