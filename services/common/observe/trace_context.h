/*
 * W3C Trace Context: the header `traceparent`. The header tells the next service the ids of a span, and whether the
 * trace of the span is recorded. A pure module: randomness is an argument, and nothing is allocated.
 *
 * This module does not read `tracestate`. Services pass `tracestate` on unchanged, or drop it if `traceparent` is
 * invalid.
 */
#ifndef FANTAIL_COMMON_OBSERVE_TRACE_CONTEXT_H
#define FANTAIL_COMMON_OBSERVE_TRACE_CONTEXT_H

#include "common/base/base.h"

#define TRACE_SAMPLED    0x01 /* the trace is recorded */
#define TRACE_RANDOM     0x02 /* the last seven bytes of the trace id are random (Level 2 of the standard) */
#define TRACESTATE_BYTES 4096 /* a longer tracestate is dropped; the standard requires at least 512 */

enum { TRACE_ID_SIZE = 33, SPAN_ID_SIZE = 17, TRACEPARENT_SIZE = 56 }; /* sizes as text, with the NUL */

struct trace_context {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t flags;
};

/* Reads a traceparent header. Returns false if the header is invalid according to the standard. If the version of the
 * header is unknown, reads the fields of version 00. */
MUST_CHECK bool trace_context_parse(struct trace_context *t, const char *header);
/* Writes version 00, with the flags of that version. */
void trace_context_format(const struct trace_context *t, char out[TRACEPARENT_SIZE]);
void trace_id_format(const struct trace_context *t, char out[TRACE_ID_SIZE]);
void span_id_format(const uint8_t span_id[8], char out[SPAN_ID_SIZE]);

/* Random numbers for ids (xoshiro256++), without a system call for each span. Not for secrets. */
struct trace_random {
    uint64_t state[4]; /* must not be all zero; seed it with random bytes from the kernel */
};
uint64_t trace_random_next(struct trace_random *r);

/* Decides whether a trace is recorded (OTEL_TRACES_SAMPLER). */
struct trace_sampler {
    /* If follows_parent is true, the caller decides whether the trace of its request is recorded, and `ratio` applies
     * only to traces that begin in this service. */
    bool follows_parent;
    double ratio; /* the share of traces that is recorded, 0 to 1 */
};

/* Makes the context of a new span. The span belongs to the parent's trace, or to a new trace if `parent` is NULL. */
void trace_context_child(struct trace_context *t, const struct trace_context *parent, const struct trace_sampler *s,
                         struct trace_random *r);
/* Makes the context for a child of one of our own spans. The child is recorded if its parent is recorded. */
void trace_context_inner(struct trace_context *t, const struct trace_context *parent, struct trace_random *r);

#endif
