/*
 * The trace of a request, and our span in it. The context is read from the request's headers and written to the headers
 * of the requests that we send for it. Without an exporter there is no span: the caller's context is passed on
 * unchanged, and no context is made.
 */
#ifndef FANTAIL_COMMON_TRACE_TRACE_SCOPE_H
#define FANTAIL_COMMON_TRACE_TRACE_SCOPE_H

#include "common/http_server/http_server.h"
#include "common/trace/trace_export.h"

struct trace_scope {
    struct trace_export *export; /* NULL: no span of this service is recorded */
    bool known;                  /* there is a trace; the members below are set */
    bool has_parent;
    struct trace_context parent;
    struct trace_context context; /* the context of our span, or the caller's context without an exporter */
    char *state;                  /* tracestate; NULL: none */
    char trace_id[TRACE_ID_SIZE];
    uint64_t started_ns;
};

/* `export` may be NULL. */
void trace_scope_begin(struct trace_scope *s, struct trace_export *export, const struct http_exchange *x);
void trace_scope_release(struct trace_scope *s);

/* Returns whether our span is to be recorded at the end. */
bool trace_scope_records(const struct trace_scope *s);
/* Creates the context for a child of our span. Without an exporter, *child is a copy of the caller's context. Call it
 * only if s->known. */
void trace_scope_child(const struct trace_scope *s, struct trace_context *child);
/* Returns our span, which ends now, with its ids and times. The caller sets the rest. */
struct span trace_scope_span(const struct trace_scope *s, enum span_kind kind, const char *name);
/* Returns a child of our span that began at start_ns and ends now. The caller sets the rest. */
struct span trace_scope_span_below(const struct trace_scope *s, const struct trace_context *context,
                                   enum span_kind kind, const char *name, uint64_t start_ns);

/* Returns the field "trace_id" of the log. Without a trace it is NULL, and the log leaves the field out. */
static inline const char *trace_scope_id(const struct trace_scope *s)
{
    return s->known ? s->trace_id : NULL;
}
/* Returns the field "span_id" of the log for a context of this scope. It is NULL when the span is not ours. */
const char *trace_scope_span_id(const struct trace_scope *s, const struct trace_context *context,
                                char out[SPAN_ID_SIZE]);

#endif
