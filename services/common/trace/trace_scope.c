#include "common/trace/trace_scope.h"

/* Returns whether the text has only bytes that the standard allows in a tracestate. Other bytes must be refused,
 * because the tracestate becomes a part of texts that must be UTF-8. */
static bool is_printable_ascii(const char *text)
{
    while (*text == '\t' || (*text >= ' ' && *text <= '~')) text++;
    return !*text;
}

/* Reads the caller's context. More than one traceparent header is invalid. Several tracestate headers form one list. */
static bool read_parent(struct trace_scope *s, const struct http_exchange *x)
{
    struct buf joined = {0};
    const char *header = http_exchange_header(x, "traceparent");
    if (!header || !trace_context_parse(&s->parent, header)) return false;
    if (http_exchange_header_all(x, "traceparent", NULL) != 1) return false;
    buf_init(&joined, TRACESTATE_BYTES);
    if (http_exchange_header_all(x, "tracestate", &joined) && joined.len && is_printable_ascii(buf_cstr(&joined)))
        s->state = xstrdup(buf_cstr(&joined));
    buf_release(&joined);
    return true;
}

/* Begins our span. Set s->parent before the call, if there is a parent. */
static void begin(struct trace_scope *s, struct trace_export *export)
{
    s->export = export;
    s->known = export || s->has_parent;
    if (!s->known) return;
    s->started_ns = now_ns();
    if (export)
        trace_export_begin(export, &s->context, s->has_parent ? &s->parent : NULL, false);
    else
        s->context = s->parent;
    trace_id_format(&s->context, s->trace_id);
}

void trace_scope_begin(struct trace_scope *s, struct trace_export *export, const struct http_exchange *x)
{
    *s = (struct trace_scope){0};
    s->has_parent = read_parent(s, x);
    begin(s, export);
}

void trace_scope_resume(struct trace_scope *s, struct trace_export *export, const char *traceparent, const char *state)
{
    *s = (struct trace_scope){0};
    s->has_parent = traceparent && trace_context_parse(&s->parent, traceparent);
    s->state = s->has_parent && state ? xstrdup(state) : NULL;
    begin(s, export);
}

void trace_scope_release(struct trace_scope *s)
{
    free(s->state);
    *s = (struct trace_scope){0};
}

bool trace_scope_records(const struct trace_scope *s)
{
    return s->export && (s->context.flags & TRACE_SAMPLED);
}

void trace_scope_child(const struct trace_scope *s, struct trace_context *child)
{
    if (s->export)
        trace_export_begin(s->export, child, &s->context, true);
    else
        *child = s->context;
}

struct span trace_scope_span(const struct trace_scope *s, enum span_kind kind, const char *name)
{
    return (struct span){
        .context = s->context,
        .parent_id = s->has_parent ? s->parent.span_id : NULL,
        .parent_is_remote = s->has_parent,
        .state = s->state,
        .kind = kind,
        .name = name,
        .start_ns = s->started_ns,
        .end_ns = now_ns(),
    };
}

struct span trace_scope_span_below(const struct trace_scope *s, const struct trace_context *context,
                                   enum span_kind kind, const char *name, uint64_t start_ns)
{
    return (struct span){
        .context = *context,
        .parent_id = s->context.span_id,
        .state = s->state,
        .kind = kind,
        .name = name,
        .start_ns = start_ns,
        .end_ns = now_ns(),
    };
}

const char *trace_scope_span_id(const struct trace_scope *s, const struct trace_context *context,
                                char out[SPAN_ID_SIZE])
{
    if (!s->known || !s->export) return NULL;
    span_id_format(context->span_id, out);
    return out;
}
