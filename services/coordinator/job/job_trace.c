#include "coordinator/job/job_trace.h"

#include "protocol/protocol.h"

void job_trace_begin(struct trace_scope *trace, struct trace_export *export, struct http_exchange *x)
{
    char response[TRACEPARENT_SIZE];
    trace_scope_begin(trace, export, x);
    if (!trace->export) return;
    trace_context_format(&trace->context, response);
    http_exchange_set_header(x, "traceresponse", response);
}

static void export_request(const struct trace_scope *trace, struct span *s, const struct span_attribute *attributes)
{
    s->attributes = attributes;
    trace_export_add(trace->export, s);
}

static void export_job(const struct job *j)
{
    const struct sched_counts *n = &j->outcome.counts;
    bool ended = j->state == JOB_ENDED,
         bad_end = j->outcome.status == SCHED_FAILED || j->outcome.status == SCHED_TIMED_OUT;
    struct span s = trace_scope_span(&j->trace, SPAN_SERVER, "POST " PATH_JOBS);
    struct span_attribute status = SPAN_INT("http.response.status_code", j->submission.status);
    s.failed = j->submission.status >= 500 || j->failure[0] || (ended && bad_end);
    s.failure = j->failure[0] ? j->failure : ended && bad_end ? j->outcome.reason : NULL;
    if (!ended) {
        export_request(&j->trace, &s,
                       (struct span_attribute[]){SPAN_STR("http.request.method", "POST"),
                                                 SPAN_STR("http.route", PATH_JOBS), SPAN_STR("fantail.job.id", j->id),
                                                 j->submission.status ? status : SPAN_END, SPAN_END});
        return;
    }
    export_request(&j->trace, &s,
                   (struct span_attribute[]){
                       SPAN_STR("http.request.method", "POST"), SPAN_STR("http.route", PATH_JOBS),
                       SPAN_STR("fantail.job.id", j->id),
                       SPAN_STR("fantail.task", j->spec.task_count ? j->spec.tasks[0] : NULL),
                       SPAN_STR("fantail.job.status", sched_status_name(j->outcome.status)),
                       SPAN_INT("fantail.items.total", n->total), SPAN_INT("fantail.items.succeeded", n->succeeded),
                       SPAN_INT("fantail.items.failed", n->failed), SPAN_INT("fantail.items.cancelled", n->cancelled),
                       SPAN_INT("fantail.items.retried", n->retried), SPAN_INT("fantail.items.hedged", n->hedged),
                       j->submission.status ? status : SPAN_END, SPAN_END});
}

void job_trace_end(struct job *j)
{
    if (trace_scope_records(&j->trace)) export_job(j);
    trace_scope_release(&j->trace);
}

void job_trace_refused(struct trace_export *export, struct http_exchange *x)
{
    if (!export) return;
    struct trace_scope trace;
    trace_scope_begin(&trace, export, x);
    struct span s = trace_scope_span(&trace, SPAN_SERVER, "POST " PATH_JOBS);
    export_request(&trace, &s,
                   (struct span_attribute[]){SPAN_STR("http.request.method", "POST"), SPAN_STR("http.route", PATH_JOBS),
                                             SPAN_INT("http.response.status_code", http_exchange_status(x)), SPAN_END});
    trace_scope_release(&trace);
}
