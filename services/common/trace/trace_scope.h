/*
 * The trace a request belongs to, and our span in it: read from the request's headers, written to those of the requests
 * that follow from it. Without an exporter there is no span of ours; a caller's context is then passed on as it came,
 * and where there is none, none is made up.
 */
#ifndef FANTAIL_COMMON_TRACE_TRACE_SCOPE_H
#define FANTAIL_COMMON_TRACE_TRACE_SCOPE_H

#include "common/http_server/http_server.h"
#include "common/trace/trace_export.h"

struct trace_scope {
    struct trace_export *export; /* NULL: no span of ours is recorded */
    bool known;                  /* there is a trace; the rest is good */
    bool has_parent;
    struct trace_context parent;
    struct trace_context context; /* our span; without an exporter the caller's */
    char *state;                  /* tracestate; NULL: none */
    char trace_id[TRACE_ID_SIZE];
    uint64_t started_ns;
};

/* export may be NULL. */
void trace_scope_begin(struct trace_scope *s, struct trace_export *export, const struct http_exchange *x);
void trace_scope_release(struct trace_scope *s);

/* A span of ours is to be recorded at the end. */
bool trace_scope_records(const struct trace_scope *s);
/* The context of a span below ours; without an exporter the caller's. Only when `known`. */
void trace_scope_child(const struct trace_scope *s, struct trace_context *child);
/* Fills who and when of our span itself, ended now; the rest is the caller's. */
struct span trace_scope_span(const struct trace_scope *s, enum span_kind kind, const char *name);
/* And of a span below it that began at start_ns. */
struct span trace_scope_span_below(const struct trace_scope *s, const struct trace_context *context,
                                   enum span_kind kind, const char *name, uint64_t start_ns);

/* For the log's "trace_id" and "span_id": NULL, and the field is left out, when there is no trace. */
static inline const char *trace_scope_id(const struct trace_scope *s)
{
    return s->known ? s->trace_id : NULL;
}
/* span_id of a context of this scope, when it is a span of ours. */
const char *trace_scope_span_id(const struct trace_scope *s, const struct trace_context *context,
                                char out[SPAN_ID_SIZE]);

#endif
