#include "map_run.h"

#include "cli.h"
#include "json_scan.h"
#include "json_walk.h"
#include "map_answers.h"
#include "protocol.h"
#include "simple_request.h"

#define BACKOFF_MIN_MS UINT64_C(50)
#define BACKOFF_MAX_MS UINT64_C(2000)
#define PATIENCE       60 /* refusals by a service that is full are no failures, but not for ever */

static const char *request_headers(const struct map_run *run)
{
    return run->options->text ? "Content-Type: " TYPE_TEXT "\r\nAccept: " TYPE_NDJSON "\r\n"
                              : "Content-Type: " TYPE_NDJSON "\r\nAccept: " TYPE_NDJSON "\r\n";
}

static double time_left_s(const struct map_run *run, uint64_t now)
{
    if (!run->deadline_ns) return 0;
    return run->deadline_ns > now ? (double)(run->deadline_ns - now) / 1e9 : 0.001;
}

void map_job_start(struct map_run *run, struct map_job *j, uint64_t now)
{
    size_t from = batch_seek(&j->batch, run->input.skip_blank, j->answered, &j->seek_index, &j->seek_offset);
    map_options_query(run->options, time_left_s(run, now), &run->path);
    j->state = MAP_JOB_RUNNING;
    j->base = j->answered;
    j->scanned = 0;
    j->end_seen = false;
    connection_request(&j->http, "POST", buf_cstr(&run->path), request_headers(run), j->batch.data + from,
                       j->batch.len - from);
}

void map_job_start_upload(struct map_run *run, struct map_job *j, uint64_t now)
{
    map_options_query(run->options, time_left_s(run, now), &run->path);
    j->state = MAP_JOB_RUNNING;
    connection_upload(&j->http, "POST", buf_cstr(&run->path), request_headers(run));
}

short map_job_events(const struct map_run *run, const struct map_job *j, bool oldest)
{
    bool printing = oldest || run->options->order == MAP_ORDER_COMPLETION;
    if (j->state != MAP_JOB_RUNNING) return 0;
    if (!printing && j->http.answer.len - j->http.answer_at >= MAP_HELD_BYTES) return 0;
    return connection_events(&j->http);
}

static void back_off(struct map_job *j, double wait_s, uint64_t now)
{
    connection_close(&j->http);
    uint64_t wait_ms = BACKOFF_MIN_MS << (j->retries < 6 ? j->retries : 6);
    if (wait_ms > BACKOFF_MAX_MS) wait_ms = BACKOFF_MAX_MS;
    if (wait_s >= 0) wait_ms = wait_s > 10 ? 10000 : (uint64_t)(wait_s * 1000) + BACKOFF_MIN_MS;
    j->retries++;
    j->retry_ns = now + wait_ms * NS_PER_MS;
    j->state = MAP_JOB_BACKOFF;
}

/* The connection ended before the job did. */
static void was_cut(struct map_run *run, struct map_job *j, uint64_t now)
{
    bool answered_some = j->answered > j->base;
    const char *why = j->http.error[0] ? j->http.error : "the answer has no end line";
    if (answered_some) j->retries = 0;
    if (!run->reachable && !run->private_fleet.fleet) {
        map_run_fail(run, "%s", why);
    } else if (run->options->reduce || (run->options->order == MAP_ORDER_COMPLETION && j->answered > 0)) {
        map_run_fail(run, "the stream of results was cut: %s", why);
    } else if (j->retries >= MAP_RETRIES) {
        map_run_fail(run, "the stream of results was cut, also when sent again: %s", why);
    } else {
        back_off(j, -1, now);
    }
}

/* When the coordinator refuses a body, finding the line at fault is quicker here than explaining byte offsets. */
static bool tell_bad_line(struct map_run *run, const struct map_job *j)
{
    unsigned long long number = run->done - j->answered;
    if (run->options->text) return false;
    for (size_t at = 0; at < j->batch.len;) {
        const char *line = j->batch.data + at, *error;
        const char *newline = memchr(line, '\n', j->batch.len - at);
        size_t len = newline ? (size_t)(newline - line) : j->batch.len - at, offset;
        bool blank = strspn(line, " \t\r") >= len;
        if (!blank && !json_valid(line, len, &offset, &error)) {
            map_run_fail(run, "item %llu is not JSON, at its byte %zu: %s (is it text? then say --text): %.*s", number,
                         offset, error, len < 80 ? (int)len : 80, line);
            return true;
        }
        at += len + 1;
        number += !blank;
    }
    return false;
}

static void was_refused(struct map_run *run, struct map_job *j, uint64_t now)
{
    const struct connection *c = &j->http;
    bool full = c->status == 429 || c->status == 503;
    if (full && j->retries < PATIENCE && !run->options->reduce) {
        back_off(j, c->retry_after_s, now);
        return;
    }
    if (c->status == 400 && tell_bad_line(run, j)) return;
    struct buf text = {0};
    refusal_text(c, &text);
    map_run_fail(run, "the service refused the job (%d): %s", c->status, buf_cstr(&text));
    buf_release(&text);
}

void map_job_step(struct map_run *run, struct map_job *j, bool oldest, bool readable, uint64_t now)
{
    if (j->state == MAP_JOB_BACKOFF && now >= j->retry_ns) map_job_start(run, j, now);
    if (j->state != MAP_JOB_RUNNING) return;
    struct connection *c = &j->http;
    if (readable) connection_step(c);
    if (c->status) run->reachable = true;
    if (!oldest && run->options->order == MAP_ORDER_INPUT) return;
    if (c->status == 200) map_answers_take(run, j);
    if (run->stopped) return;
    if (c->state == HTTP_DONE && c->status != 200)
        was_refused(run, j, now);
    else if (c->state == HTTP_DONE && j->end_seen)
        j->state = MAP_JOB_ENDED;
    else if (c->state == HTTP_DONE || c->state == HTTP_BROKEN)
        was_cut(run, j, now);
}
