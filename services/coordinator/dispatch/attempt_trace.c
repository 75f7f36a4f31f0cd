#include "coordinator/dispatch/attempt_trace.h"

#include <inttypes.h>

#include "protocol/protocol.h"

void attempt_trace_begin(struct attempt_trace *t, const struct phase *p, const struct sched_attempt *a, const char *url,
                         const char *address)
{
    if (!p->job->trace.known) return;
    trace_scope_child(&p->job->trace, &t->context);
    if (!trace_scope_records(&p->job->trace)) return;
    t->started_ns = now_ns();
    t->attempt = a->chunk->sends;
    t->url = xstrdup(url);
    t->address = address ? xstrdup(address) : NULL;
}

size_t attempt_trace_headers(const struct attempt_trace *t, const struct phase *p, struct trace_headers *h,
                             const char **headers)
{
    static const char name[] = "traceparent: ";
    h->state = NULL;
    if (!p->job->trace.known) return 0;
    memcpy(h->parent, name, sizeof name - 1);
    trace_context_format(&t->context, h->parent + sizeof name - 1);
    headers[0] = h->parent;
    if (!p->job->trace.state) return 1;
    struct buf state = {0};
    buf_addf(&state, "tracestate: %s", p->job->trace.state);
    h->state = xstrdup(buf_cstr(&state));
    buf_release(&state);
    headers[1] = h->state;
    return 2;
}

void trace_headers_release(struct trace_headers *h)
{
    free(h->state);
}

static void export_attempt(const struct attempt_trace *t, const struct phase *p, const struct attempt_outcome *o)
{
    const struct sched_attempt *a = o->attempt;
    char chunk[96];
    snprintf(chunk, sizeof chunk, "%s/%" PRIu64, p->job->id, sched_chunk_index(a->chunk, a->from));
    struct span s =
        trace_scope_span_below(&p->job->trace, &t->context, SPAN_CLIENT, "POST " PATH_TASKS "/{task}", t->started_ns);
    s.failed = o->failed;
    s.failure = o->failed ? o->reason : NULL;
    s.attributes = (struct span_attribute[]){
        SPAN_STR("http.request.method", "POST"),
        SPAN_STR("url.full", t->url),
        SPAN_STR("network.peer.address", t->address),
        SPAN_STR("fantail.job.id", p->job->id),
        SPAN_STR("fantail.task", phase_task(p)),
        SPAN_STR("fantail.chunk", chunk),
        SPAN_INT("fantail.chunk.items", a->to - a->from),
        SPAN_INT("fantail.chunk.answered", a->received),
        SPAN_INT("fantail.attempt", t->attempt),
        SPAN_BOOL("fantail.hedged", a->is_hedge),
        SPAN_STR("fantail.worker", o->worker),
        SPAN_STR("fantail.result", o->result),
        SPAN_STR("fantail.reason", o->failed ? NULL : o->reason),
        SPAN_STR("error.type", o->failed ? o->result : NULL),
        o->status ? SPAN_INT("http.response.status_code", o->status) : SPAN_END,
        SPAN_END,
    };
    trace_export_add(p->job->trace.export, &s);
}

void attempt_trace_end(struct attempt_trace *t, const struct phase *p, const struct attempt_outcome *o)
{
    if (trace_scope_records(&p->job->trace)) export_attempt(t, p, o);
    free(t->url);
    free(t->address);
    t->url = t->address = NULL;
}
