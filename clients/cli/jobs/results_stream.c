#include "cli/jobs/results_stream.h"

#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/base/interrupt.h"
#include "cli/http/query.h"
#include "cli/map/result_line.h"
#include "protocol/protocol.h"

static const char *const only_words[] = {
    [RESULTS_VALUES] = "values", [RESULTS_ERRORS] = "errors", [RESULTS_REDUCED] = "errors"};

static void fail(struct results_stream *r, const char *why)
{
    output_flush(&r->output);
    complain("%s", why);
    r->failed = true;
}

static void add_value(struct results_stream *r, const struct result_line *line)
{
    r->next = line->index + 1;
    if (!r->json) output_line(&r->output, line->body, line->len);
}

static void print_error(struct results_stream *r, const struct result_line *line)
{
    struct buf text = {0};
    buf_addf(&text, "{\"index\":%llu,", (unsigned long long)line->index);
    if (line->count > 1) buf_addf(&text, "\"count\":%llu,", (unsigned long long)line->count);
    buf_add_str(&text, "\"error\":");
    buf_add(&text, line->body, line->len);
    buf_add_char(&text, '}');
    output_line(&r->output, buf_cstr(&text), text.len);
    buf_release(&text);
}

/* One line can be about several items with equal errors. */
static void add_errors(struct results_stream *r, const struct result_line *line)
{
    uint64_t count = line->count;
    if (result_line_cut(line) != RESULT_NOT_CUT) r->failures.cancelled += count;
    for (uint64_t i = 0; i < count && !output_failed(&r->output); i++) {
        failures_add(&r->failures, line->index + i, 0, line->body, line->len, NULL, 0, false);
        if (!r->json && !r->skip_failed && r->only == RESULTS_ALL) output_line(&r->output, "null", 4);
    }
    if (!r->json && r->only == RESULTS_ERRORS) print_error(r, line);
    r->next = line->index + count;
}

static void add_end(struct results_stream *r, const struct result_line *line)
{
    struct remote_job job = {0};
    struct buf why = {0};
    r->ended = true;
    r->total = line->total;
    r->removed = !remote_status_parse(line->body, line->len, &job.status);
    r->status = r->removed ? EXIT_JOB_FAILED : remote_job_exit_status(&job);
    output_flush(&r->output);
    bool has_reason = line->why.len > 0 && json_string_decode(line->why, &why);
    bool has_results = r->status == EXIT_OK || r->status == EXIT_ITEMS_FAILED;
    if (has_results && r->only == RESULTS_ALL && r->next < r->total)
        fail(r, "the job has ended, but the service left out the results of its last items");
    if (!has_results)
        complain("the job ended as %.*s%s%s", (int)line->len, line->body, has_reason ? ": " : "",
                 has_reason ? buf_cstr(&why) : "");
    buf_release(&why);
}

/* Returns whether the line is a start line, but not the first start line. A stream that continues after a cut begins
 * with another start line. */
static bool is_repeated_start(struct results_stream *r, const char *line, size_t len)
{
    static const char start[] = "{\"type\":\"start\"";
    if (len < sizeof(start) - 1 || memcmp(line, start, sizeof(start) - 1) != 0) return false;
    bool repeated = r->started;
    r->started = true;
    return repeated;
}

static void read_line(struct results_stream *r, const char *text, size_t len)
{
    struct result_line line = result_line_read(text, len);
    bool is_item = (line.kind == RESULT_VALUE || line.kind == RESULT_ERROR) && line.has_index;
    if (is_item && line.index < r->next) return;
    if (is_item && line.index > r->next && r->only == RESULTS_ALL) {
        fail(r, "the service left out the results of some items");
        return;
    }
    if (is_item) request_retry_reset(&r->service->retry);
    if (r->json && line.kind != RESULT_BAD && !is_repeated_start(r, text, len)) output_line(&r->output, text, len);
    switch (line.kind) {
    case RESULT_VALUE:
        if (is_item) add_value(r, &line);
        break;
    case RESULT_ERROR:
        if (is_item) add_errors(r, &line);
        break;
    case RESULT_END: add_end(r, &line); break;
    case RESULT_WAITING:
        if (!r->json) complain("the job waits: %s", remote_waiting_words(line.body ? line.body : "", line.len));
        break;
    case RESULT_OTHER: break;
    case RESULT_BAD: fail(r, "the service sent a line that is not a result; check --url"); break;
    }
}

static void read_lines(struct results_stream *r)
{
    struct connection *c = &r->service->http;
    if (c->answer_at == c->answer.len) return;
    const char *at = c->answer.data + c->answer_at, *end = c->answer.data + c->answer.len;
    while (at < end && !r->failed && !output_failed(&r->output)) {
        const char *newline = memchr(at + r->scanned, '\n', (size_t)(end - at) - r->scanned);
        if (!newline) {
            r->scanned = (size_t)(end - at);
            break;
        }
        r->scanned = 0;
        read_line(r, at, (size_t)(newline - at));
        at = newline + 1;
    }
    c->answer_at = (size_t)(at - c->answer.data);
    output_flush(&r->output);
}

static void request(struct results_stream *r)
{
    struct buf path = {0};
    buf_addf(&path, PATH_JOBS "/%s/results", r->id);
    if (r->next) query_add_number(&path, "from", r->next);
    if (r->only != RESULTS_ALL) query_add(&path, "only", only_words[r->only]);
    r->scanned = 0;
    connection_request(&r->service->http, "GET", buf_cstr(&path), "Accept: " TYPE_NDJSON "\r\n", NULL, 0);
    buf_release(&path);
}

static bool is_stopped(const struct results_stream *r)
{
    return r->ended || r->failed || interrupt_signal() || output_failed(&r->output);
}

/* Reads one answer until it ends or is cut. */
static void read_answer(struct results_stream *r)
{
    struct connection *c = &r->service->http;
    do {
        if (c->status == 200) read_lines(r);
        if (is_stopped(r) || c->state == CONNECTION_DONE || c->state == CONNECTION_BROKEN) return;
    } while (job_service_step(r->service));
}

int results_stream_run(struct results_stream *r)
{
    do {
        request(r);
        read_answer(r);
        if (is_stopped(r)) break;
    } while (job_service_may_go_on(r->service, "the stream of results", "the end line is missing"));
    return r->ended && !r->failed ? r->status : EXIT_JOB_FAILED;
}
