/*
 * The text in which the store keeps the options of a durable job. The text contains the query parameters and the job
 * object as the client wrote them. So when the options are read again, they are checked by the same rules as in the
 * request. Pure.
 *
 *   {"query":{"task":"square","priority":"3"},"options":{...},"have_items":true,"idempotent":null,
 *    "trace":{"traceparent":"00-...","tracestate":"..."}}
 *
 * `trace` is there only if the job belongs to a trace.
 */
#ifndef FANTAIL_COORDINATOR_DURABLE_STORED_OPTIONS_H
#define FANTAIL_COORDINATOR_DURABLE_STORED_OPTIONS_H

#include "common/base/buf.h"
#include "coordinator/items/jobspec.h"

/* The five functions below write the text to `out`, in this order. `options` is the job object without its items, or
 * empty. stored_options_add_trace() may be left out; `tracestate` may be NULL. */
void stored_options_begin(struct buf *out);
void stored_options_add_query(struct buf *out, const char *name, const char *value);
void stored_options_add_object(struct buf *out, const struct buf *options, bool have_items,
                               enum idempotency idempotent);
void stored_options_add_trace(struct buf *out, const char *traceparent, const char *tracestate);
void stored_options_end(struct buf *out);

/* Appends the job object `options` without the member `member`. If `options` is empty, appends nothing. */
void stored_options_without(const struct buf *options, const char *member, struct buf *out);

/* Sets the options that were changed after the submission: see jobspec_read_changes(). NULL: no options were
 * changed. */
void stored_options_change(struct jobspec *spec, const char *changes);

/* Appends the headers of the trace that the job belongs to, or nothing. */
void stored_options_read_trace(const char *text, struct buf *traceparent, struct buf *tracestate);

/* Reads the text into a zeroed spec. If the text cannot be read, returns false and writes a sentence to err. Release
 * the spec even if the function has failed. */
MUST_CHECK bool stored_options_read(const char *text, struct jobspec *spec, enum idempotency *idempotent, char *err,
                                    size_t err_size);

#endif
