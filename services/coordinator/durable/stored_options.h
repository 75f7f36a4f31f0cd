/*
 * The text in which the store keeps the options of a durable job. The text contains the query parameters and the job
 * object as the client wrote them. So when the options are read again, they are checked by the same rules as in the
 * request. Pure.
 *
 *   {"query":{"task":"square","priority":"3"},"options":{...},"have_items":true,"idempotent":null,
 *    "trace":{"traceparent":"00-...","tracestate":"..."}}
 *
 * `trace` is there only if the job belongs to a trace. If `common` is long, the last member is "common_span":[AT,LEN].
 * AT is the offset in the text at which the value of `common` begins, and LEN is its length. Because of this member,
 * the other options can be read without scanning the bytes of `common`. Scanning 4 MiB can take longer than a turn of
 * the loop may take. Older versions ignore this member.
 */
#ifndef FANTAIL_COORDINATOR_DURABLE_STORED_OPTIONS_H
#define FANTAIL_COORDINATOR_DURABLE_STORED_OPTIONS_H

#include "common/base/buf.h"
#include "coordinator/items/jobspec.h"

/* The five functions below write the text to `out`, in this order. `options` is the job object without its items, or
 * empty. stored_options_add_object() returns the offset of this object in the text. stored_options_add_trace() may be
 * left out; `tracestate` may be NULL. stored_options_end() gets the place of the value of `common` in the text;
 * common_len is 0: the place is not known. */
void stored_options_begin(struct buf *out);
void stored_options_add_query(struct buf *out, const char *name, const char *value);
size_t stored_options_add_object(struct buf *out, const struct buf *options, bool have_items,
                                 enum idempotency idempotent);
void stored_options_add_trace(struct buf *out, const char *traceparent, const char *tracestate);
void stored_options_end(struct buf *out, size_t common_at, size_t common_len);

/* Appends the job object `options` without the member `member`. If `options` is empty, appends nothing. `value` is the
 * value of a member in `options`, or NULL. Returns the offset of this value in `out`; 0: `out` does not have it. */
size_t stored_options_without(const struct buf *options, const char *member, const char *value, struct buf *out);

/* Sets the options that were changed after the submission: see jobspec_read_changes(). NULL: no options were
 * changed. */
void stored_options_change(struct jobspec *spec, const char *changes);

/* Appends the headers of the trace that the job belongs to, or nothing. */
void stored_options_read_trace(const char *text, struct buf *traceparent, struct buf *tracestate);

/* Reads the text into a zeroed spec. If the text cannot be read, returns false and writes a sentence to err. Release
 * the spec even if the function has failed. */
MUST_CHECK bool stored_options_read(const char *text, struct jobspec *spec, enum idempotency *idempotent, char *err,
                                    size_t err_size);
/* Does the same, but may leave out a long `common`. So the caller must not use spec->common. */
MUST_CHECK bool stored_options_read_facts(const char *text, struct jobspec *spec, enum idempotency *idempotent,
                                          char *err, size_t err_size);

#endif
