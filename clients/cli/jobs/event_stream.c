#include "cli/jobs/event_stream.h"

#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/base/interrupt.h"
#include "protocol/protocol.h"

#define EVENT_MAX_BYTES ((size_t)8 << 20)

static void stop(struct event_stream *e, int status)
{
    e->stopped = true;
    e->status = status;
}

static void fail(struct event_stream *e, const char *why)
{
    complain("%s", why);
    stop(e, EXIT_JOB_FAILED);
}

/* An empty line ends an event. A comment has no data. */
static void end_event(struct event_stream *e)
{
    struct remote_job job;
    if (!e->document.len) return;
    if (!remote_job_read(&job, e->document.data, e->document.len)) {
        fail(e, "the service sent an event that is not about a job; check --url");
        return;
    }
    /* Only a new event restarts the time limit for connecting again. So if each new connection only repeats the last
     * event, this program gives up in the end. */
    if (strcmp(e->event_id, e->last_id) != 0) request_retry_reset(&e->service->retry);
    snprintf(e->last_id, sizeof(e->last_id), "%s", e->event_id);
    if (!e->take(&job, e->data) || remote_job_has_ended(&job)) stop(e, remote_job_exit_status(&job));
    buf_clear(&e->document);
}

/* Returns the value if the line is the field of this name, otherwise NULL. */
static const char *field(const char *line, const char *name)
{
    size_t len = strlen(name);
    if (strncmp(line, name, len) != 0 || line[len] != ':') return NULL;
    return line + len + 1 + (line[len + 1] == ' ');
}

static void read_line(struct event_stream *e, const char *line)
{
    const char *id = field(line, "id"), *data = field(line, "data");
    if (!*line) end_event(e);
    if (id && strlen(id) < sizeof(e->event_id)) snprintf(e->event_id, sizeof(e->event_id), "%s", id);
    if (data) buf_add_str(&e->document, data);
}

static void read_lines(struct event_stream *e)
{
    struct connection *c = &e->service->http;
    while (!e->stopped && c->answer_at < c->answer.len) {
        char *line = c->answer.data + c->answer_at;
        char *newline = memchr(line, '\n', c->answer.len - c->answer_at);
        if (!newline) break;
        *newline = '\0';
        if (newline > line && newline[-1] == '\r') newline[-1] = '\0';
        c->answer_at += (size_t)(newline + 1 - line);
        read_line(e, line);
    }
    if (!e->stopped && c->answer.len - c->answer_at + e->document.len > EVENT_MAX_BYTES)
        fail(e, "the service sent an event that is too long; check --url");
}

static void request(struct event_stream *e)
{
    struct buf path = {0}, headers = {0};
    buf_addf(&path, PATH_JOBS "/%s/events", e->id);
    buf_add_str(&headers, "Accept: text/event-stream\r\n");
    if (e->last_id[0]) buf_addf(&headers, "Last-Event-ID: %s\r\n", e->last_id);
    buf_clear(&e->document);
    connection_request(&e->service->http, "GET", buf_cstr(&path), buf_cstr(&headers), NULL, 0);
    buf_release(&path);
    buf_release(&headers);
}

/* Reads one answer until it ends or is cut. */
static void read_answer(struct event_stream *e)
{
    struct connection *c = &e->service->http;
    do {
        if (c->status == 200) read_lines(e);
        if (e->stopped || interrupt_signal() || c->state == CONNECTION_DONE || c->state == CONNECTION_BROKEN) return;
    } while (job_service_step(e->service));
}

int event_stream_run(struct event_stream *e)
{
    do {
        request(e);
        read_answer(e);
        if (e->stopped || interrupt_signal()) break;
    } while (job_service_may_go_on(e->service, "the stream of events", "the end of the job is missing"));
    buf_release(&e->document);
    return e->stopped ? e->status : EXIT_JOB_FAILED;
}
