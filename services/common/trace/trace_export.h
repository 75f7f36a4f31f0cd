/*
 * Sends finished spans to an OTLP/HTTP collector, in batches, and never in anybody's way: a span is one append to a
 * bounded queue, a queue that is full drops what comes (counted in fantail_spans_total), a collector that cannot be
 * reached costs one log line when that begins and one when it ends.
 *
 *     IDLE ----- a batch is full, or its delay is over -----> SENDING ----- 2xx, or refused for good --+
 *      ^                                                        ^  |                                   |
 *      |                                             delay over |  | 429, 502 to 504, no connection    |
 *      |                                                        |  v                                   |
 *      +------------------------------------------------------ WAITING (Retry-After, else backoff)     |
 *      +-----------------------------------------------------------------------------------------------+
 *
 * Owns its HTTP client and timer. Single-threaded. Does not know what a span is about.
 */
#ifndef FANTAIL_COMMON_TRACE_TRACE_EXPORT_H
#define FANTAIL_COMMON_TRACE_TRACE_EXPORT_H

#include <uv.h>

#include "common/observe/otlp.h"
#include "common/observe/trace_config.h"

struct trace_export;

/* trace_config_read() of the environment. */
MUST_CHECK bool trace_export_configure(struct trace_config *config, char *err, size_t err_size);
/* Takes config. Counters are there in any case; NULL when config says that tracing is off. service ("fantail-worker")
 * and instance are for the resource. */
MUST_CHECK struct trace_export *trace_export_new(uv_loop_t *loop, struct trace_config *config, const char *service,
                                                 const char *instance);
/* Sends what is left, for no longer than TRACE_CLOSE_MS, then frees itself as the loop runs on. NULL is fine. */
void trace_export_close(struct trace_export *t);
#define TRACE_CLOSE_MS 2000

/* The context of a span that begins; parent NULL: it begins a trace. The sampler decides unless parent is our own
 * span's. */
void trace_export_begin(struct trace_export *t, struct trace_context *context, const struct trace_context *parent,
                        bool parent_is_ours);
/* Takes a span that has ended; one of a trace that is not recorded is nothing. */
void trace_export_add(struct trace_export *t, const struct span *s);

#endif
