/*
 * The trace of a request, and our span in it. The context of the trace is read from the request's headers, and written
 * to the headers of the further requests that we send to serve this request. If there is no exporter, this service has
 * no span, and forwards the caller's context unchanged.
 */
#ifndef FANTAIL_COMMON_TRACE_TRACE_SCOPE_H
#define FANTAIL_COMMON_TRACE_TRACE_SCOPE_H

#include "common/http_server/http_server.h"
#include "common/trace/trace_export.h"

struct trace_scope {
    struct trace_export *export; /* NULL: this service records no spans */
    bool known;                  /* there is a trace, and the members below are set */
    bool has_parent;
    struct trace_context parent;
    struct trace_context context; /* the context of our span; if there is no exporter, the caller's context */
    char *state;                  /* tracestate; NULL: none */
    char trace_id[TRACE_ID_SIZE];
    uint64_t started_ns;
};

/* `export` may be NULL. */
void trace_scope_begin(struct trace_scope *s, struct trace_export *export, const struct http_exchange *x);
/* Like trace_scope_begin(), for work that continues after its request has been answered. `traceparent` and `state` are
 * the stored values of the request's headers; NULL: none. */
void trace_scope_resume(struct trace_scope *s, struct trace_export *export, const char *traceparent, const char *state);
void trace_scope_release(struct trace_scope *s);

/* Returns whether our span must be recorded when it ends. */
bool trace_scope_records(const struct trace_scope *s);
/* Creates the context for a child of our span. If there is no exporter, copies the caller's context to *child. Call
 * this function only if s->known is true. */
void trace_scope_child(const struct trace_scope *s, struct trace_context *child);
/* Returns our span with its ids and times. The end time is now. The caller sets the span's other members. */
struct span trace_scope_span(const struct trace_scope *s, enum span_kind kind, const char *name);
/* Returns a child of our span. The child's start time is start_ns, and its end time is now. The caller sets the child's
 * other members. */
struct span trace_scope_span_below(const struct trace_scope *s, const struct trace_context *context,
                                   enum span_kind kind, const char *name, uint64_t start_ns);

/* Returns the value of the log field "trace_id". If there is no trace, returns NULL, and the log omits the field. */
static inline const char *trace_scope_id(const struct trace_scope *s)
{
    return s->known ? s->trace_id : NULL;
}
/* Returns the value of the log field "span_id" for a context of this scope; NULL if the span is not ours. */
const char *trace_scope_span_id(const struct trace_scope *s, const struct trace_context *context,
                                char out[SPAN_ID_SIZE]);

#endif
