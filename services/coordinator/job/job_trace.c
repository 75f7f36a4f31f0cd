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

static void export_span(const struct trace_scope *trace, struct span s, const struct span_attribute *attributes)
{
    s.attributes = attributes;
    trace_export_add(trace->export, &s);
}

static struct span_attribute status_of(int status)
{
    return status ? SPAN_INT("http.response.status_code", status) : SPAN_END;
}

/* Exports the span of a request without the outcome of a job. Call it for a request that has not become a job of this
 * coordinator, or whose job has not ended. */
static void export_request(const struct trace_scope *trace, struct span s, int status, const char *job_id)
{
    export_span(trace, s,
                (struct span_attribute[]){SPAN_STR("http.request.method", "POST"), SPAN_STR("http.route", PATH_JOBS),
                                          SPAN_STR("fantail.job.id", job_id), status_of(status), SPAN_END});
}

static void export_job(const struct job *j)
{
    const struct sched_counts *n = &j->outcome.counts;
    bool ended = j->state == JOB_ENDED,
         bad_end = j->outcome.status == SCHED_FAILED || j->outcome.status == SCHED_TIMED_OUT;
    struct span s = j->is_kept ? trace_scope_span(&j->trace, SPAN_INTERNAL, "run of a durable job")
                               : trace_scope_span(&j->trace, SPAN_SERVER, "POST " PATH_JOBS);
    s.failed = j->submission.status >= 500 || j->failure[0] || (ended && bad_end);
    s.failure = j->failure[0] ? j->failure : ended && bad_end ? j->outcome.reason : NULL;
    if (!ended) {
        export_request(&j->trace, s, j->submission.status, j->id);
        return;
    }
    export_span(&j->trace, s,
                (struct span_attribute[]){
                    SPAN_STR("http.request.method", j->is_kept ? NULL : "POST"),
                    SPAN_STR("http.route", j->is_kept ? NULL : PATH_JOBS), SPAN_STR("fantail.job.id", j->id),
                    SPAN_STR("fantail.task", j->spec.task_count ? j->spec.tasks[0] : NULL),
                    SPAN_STR("fantail.job.status", sched_status_name(j->outcome.status)),
                    SPAN_INT("fantail.items.total", n->total), SPAN_INT("fantail.items.succeeded", n->succeeded),
                    SPAN_INT("fantail.items.failed", n->failed), SPAN_INT("fantail.items.cancelled", n->cancelled),
                    SPAN_INT("fantail.items.retried", n->retried), SPAN_INT("fantail.items.hedged", n->hedged),
                    status_of(j->submission.status), SPAN_END});
}

void job_trace_end(struct job *j)
{
    if (trace_scope_records(&j->trace)) export_job(j);
    trace_scope_release(&j->trace);
}

void job_trace_end_request(struct trace_scope *trace, int status, const char *job_id)
{
    if (trace_scope_records(trace)) {
        struct span s = trace_scope_span(trace, SPAN_SERVER, "POST " PATH_JOBS);
        s.failed = status >= 500;
        export_request(trace, s, status, job_id);
    }
    trace_scope_release(trace);
}

void job_trace_refused(struct trace_export *export, struct http_exchange *x)
{
    struct trace_scope trace;
    if (!export) return;
    trace_scope_begin(&trace, export, x);
    job_trace_end_request(&trace, http_exchange_status(x), NULL);
}
