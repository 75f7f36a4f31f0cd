#include "worker/request_trace.h"

#include "protocol/protocol.h"
#include "worker/chunk/item_trace.h"

/* Makes the control lines that name the span of the next items. */
static struct common_value *control_lines(const struct trace_scope *s)
{
    char parent[TRACEPARENT_SIZE];
    struct buf lines = {0};
    trace_context_format(&s->context, parent);
    buf_addf(&lines, "#traceparent %s\n", parent);
    if (s->state) buf_addf(&lines, "#tracestate %s\n", s->state);
    struct common_value *c = common_value_from_lines(lines.data, lines.len);
    buf_release(&lines);
    return c;
}

void request_trace_begin(struct request_trace *t, struct trace_export *export, const struct http_exchange *x)
{
    *t = (struct request_trace){0};
    trace_scope_begin(&t->scope, export, x);
    if (!t->scope.known) return;
    t->lines = control_lines(&t->scope);
}

void request_trace_release(struct request_trace *t)
{
    common_value_unref(t->lines);
    trace_scope_release(&t->scope);
    t->lines = NULL;
}

void request_trace_add_chunk(const struct request_trace *t, struct chunk *c)
{
    if (!t->scope.known) return;
    c->trace = common_value_ref(t->lines);
    c->trace_id = t->scope.trace_id;
    if (trace_scope_records(&t->scope)) c->item_trace = item_trace_new(now_ns);
}

static void export_item(const struct request_trace *t, const struct item_record *r, uint64_t base, const char *name,
                        const char *task)
{
    struct trace_context context;
    trace_scope_child(&t->scope, &context);
    struct span s = trace_scope_span_below(&t->scope, &context, SPAN_INTERNAL, name, r->start_ns);
    const char *error = r->failed ? item_error_name(r->error) : NULL;
    s.end_ns = r->end_ns;
    s.failed = r->failed;
    s.failure = error;
    s.attributes = (struct span_attribute[]){
        SPAN_STR("fantail.task", task),
        SPAN_INT("fantail.item.index", base + r->index),
        SPAN_INT("fantail.item.answered_together", r->together),
        SPAN_STR("error.type", error),
        SPAN_END,
    };
    trace_export_add(t->scope.export, &s);
}

uint64_t request_trace_items(const struct request_trace *t, const struct chunk *c, const char *task)
{
    const struct item_trace *items = c->item_trace;
    if (!items) return 0;
    struct buf name = {0};
    buf_addf(&name, "item %s", task);
    for (size_t i = 0; i < items->count; i++) export_item(t, &items->records[i], c->base, buf_cstr(&name), task);
    buf_release(&name);
    return items->answered - items->count;
}

void request_trace_end(const struct request_trace *t, const struct request_summary *summary, uint64_t without_span)
{
    if (!trace_scope_records(&t->scope)) return;
    struct span s = trace_scope_span(&t->scope, SPAN_SERVER, "POST " PATH_TASKS "/{task}");
    s.failed = summary->status >= 500;
    s.attributes = (struct span_attribute[]){
        SPAN_STR("http.request.method", "POST"),
        SPAN_STR("http.route", PATH_TASKS "/{task}"),
        SPAN_STR("fantail.job.id", summary->job),
        SPAN_STR("fantail.task", summary->task),
        SPAN_STR("fantail.chunk", summary->chunk),
        SPAN_INT("fantail.attempt", summary->attempt),
        SPAN_STR("fantail.worker", summary->worker),
        SPAN_STR("fantail.result", summary->result),
        SPAN_INT("fantail.items.total", summary->items),
        SPAN_INT("fantail.items.succeeded", summary->succeeded),
        SPAN_INT("fantail.items.failed", summary->failed),
        SPAN_INT("fantail.items.without_span", without_span),
        summary->status ? SPAN_INT("http.response.status_code", summary->status) : SPAN_END,
        SPAN_END,
    };
    trace_export_add(t->scope.export, &s);
}
