/*
 * Writes the parts before and after the answers: the control lines of a stream, or the other parts of a document. In a
 * document, the errors follow the results. The reader reads the errors from the store after the results, so it keeps no
 * error in memory.
 */
#include "common/observe/utc_time.h"
#include "coordinator/durable/durable.h"
#include "coordinator/durable/job_document.h"
#include "coordinator/results/results_internal.h"

/* Ignores the error: the reader writes the errors later. */
static bool pass_error(void *data, uint64_t index, const char *line, size_t len)
{
    return true;
}

static void begin_part(struct results_reader *r, enum results_part part)
{
    static const enum result_format formats[] = {
        [PART_LINES] = RESULTS_NDJSON, [PART_VALUES] = RESULTS_JSON, [PART_ERRORS] = RESULTS_ERRORS};
    r->part = part;
    result_writer_init(&r->writer, formats[part]);
    r->writer.runs = r->runs;
    r->writer.alone_left = r->watch.list->max_unanswered_errors;
    r->writer.on_error = pass_error;
}

static const char *hint(const struct results_reader *r)
{
    return job_likeness_hint(r->likeness, r->job.counts.failed > 0);
}

void results_begin(struct results_reader *r)
{
    begin_part(r, r->part);
    if (r->part == PART_LINES)
        buf_addf(&r->pending, "{\"type\":\"start\",\"id\":\"%s\"}\n", r->watch.id);
    else
        job_document_write_head(&r->pending, &r->job, r->is_reduced, hint(r));
    if (!r->is_reduced) return;
    r->query.only = ONLY_ERRORS;
    if (r->part != PART_LINES) begin_part(r, PART_ERRORS);
}

static bool has_errors(const struct stored_job *j)
{
    return j->counts.succeeded < j->items;
}

static void begin_errors(struct results_reader *r)
{
    begin_part(r, PART_ERRORS);
    r->query.only = ONLY_ERRORS;
    results_rewind(r);
}

bool results_end_part(struct results_reader *r)
{
    if (r->part == PART_LINES) {
        if (r->is_reduced) job_document_write_result_line(&r->pending, &r->job);
        job_document_write_end_line(&r->pending, &r->job, utc_time_now(), hint(r));
        return true;
    }
    if (r->part == PART_VALUES) buf_add_str(&r->pending, "],\"errors\":[");
    if (r->part == PART_VALUES && has_errors(&r->job)) {
        begin_errors(r);
        return false;
    }
    job_document_write_tail(&r->pending, &r->job, utc_time_now());
    return true;
}

/* Only the coordinator that runs the job knows whether the job waits. */
bool results_add_waiting(struct results_reader *r)
{
    const struct durable *runs = r->watch.list->durable;
    struct durable_live live = {0};
    bool runs_here = runs && r->part == PART_LINES && !r->complete && durable_live_of(runs, r->watch.id, &live);
    const char *before = r->waiting, *now = runs_here ? live.waiting.reason : NULL;
    r->waiting = now;
    if (!now || (before && strcmp(before, now) == 0)) return false;
    job_document_write_waiting_line(&r->pending, &live.waiting);
    return true;
}

/* JSON allows white space between the values of a document. */
void results_add_heartbeat(struct results_reader *r)
{
    buf_add_str(&r->pending, r->part == PART_LINES ? "{\"type\":\"heartbeat\"}\n" : "\n");
}
