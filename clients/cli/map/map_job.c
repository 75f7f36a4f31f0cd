#include "cli/map/map_internal.h"

#include "cli/base/json_member.h"
#include "cli/http/caller_trace.h"
#include "cli/http/refusal.h"
#include "protocol/protocol.h"

void map_job_move(struct map_job *j, enum map_job_state to)
{
    static const char *const names[] = {"free", "running", "backoff", "in doubt", "at a bad item", "ended"};
    static const unsigned before[] = {
        [MAP_JOB_FREE] = 1u << MAP_JOB_ENDED,
        [MAP_JOB_RUNNING] = 1u << MAP_JOB_FREE | 1u << MAP_JOB_RUNNING | 1u << MAP_JOB_BACKOFF | 1u << MAP_JOB_AT_BAD,
        [MAP_JOB_BACKOFF] = 1u << MAP_JOB_RUNNING | 1u << MAP_JOB_IN_DOUBT,
        [MAP_JOB_IN_DOUBT] = 1u << MAP_JOB_RUNNING,
        [MAP_JOB_AT_BAD] = 1u << MAP_JOB_FREE | 1u << MAP_JOB_RUNNING | 1u << MAP_JOB_BACKOFF | 1u << MAP_JOB_IN_DOUBT |
                           1u << MAP_JOB_AT_BAD,
        [MAP_JOB_ENDED] = 1u << MAP_JOB_RUNNING | 1u << MAP_JOB_IN_DOUBT | 1u << MAP_JOB_AT_BAD,
    };
    static_assert(ARRAY_SIZE(names) == MAP_JOB_STATE_COUNT, "a name for each state");
    static_assert(ARRAY_SIZE(before) == MAP_JOB_STATE_COUNT, "a row for each state");
    if (!(before[to] & 1u << j->state)) BUG("a job of map: %s to %s", names[j->state], names[to]);
    j->state = to;
}

static const char *request_headers(struct map_run *run)
{
    struct buf *headers = &run->headers;
    if (headers->len > 0) return buf_cstr(headers);
    buf_addf(headers, "Content-Type: %s\r\nAccept: " TYPE_NDJSON "\r\n",
             run->options->sends_text ? TYPE_TEXT : TYPE_NDJSON);
    caller_trace_add(headers);
    return buf_cstr(headers);
}

static double time_left_s(const struct map_run *run, uint64_t now)
{
    if (!run->deadline_ns) return 0;
    return run->deadline_ns > now ? (double)(run->deadline_ns - now) / 1e9 : 0.001;
}

/* Sets the end of the next attempt: the end of the batch, the end of the largest piece that may be sent at once, or the
 * first bad item, whichever comes first. */
static void find_end(struct map_run *run, struct map_job *j, size_t from)
{
    size_t max_bytes = run->input.batch_max;
    struct batch part = j->batch;
    uint64_t index = j->answered;
    if (max_bytes && part.len - from > max_bytes)
        part.len = batch_piece(&j->batch, run->input.skip_blank, from, max_bytes, &index);
    j->end = (struct map_end){part.len < j->batch.len ? index : j->count, part.len};
    if (j->batch.too_long || batch_has_mark_at(&j->batch, from)) j->checks_items = true;
    j->ends_at_bad = j->checks_items && batch_find_bad(&part, run->input.form, j->answered, from, &j->bad);
    if (j->ends_at_bad) j->end = (struct map_end){j->bad.index, j->bad.offset};
}

static void send_items(struct map_run *run, struct map_job *j, size_t from, uint64_t now)
{
    map_options_query(run->options, time_left_s(run, now), &run->path);
    map_job_move(j, MAP_JOB_RUNNING);
    j->base = j->answered;
    j->scanned = 0;
    j->end_seen = false;
    j->tail = MAP_TAIL_NONE;
    if (run->options->order == MAP_ORDER_COMPLETION) unanswered_begin(&j->unanswered, j->end.index - j->base);
    connection_request(&j->http, "POST", buf_cstr(&run->path), request_headers(run), j->batch.data + from,
                       j->end.offset - from);
}

void map_job_start(struct map_run *run, struct map_job *j, uint64_t now)
{
    size_t from = batch_seek(&j->batch, run->input.skip_blank, j->answered, &j->seek_index, &j->seek_offset);
    find_end(run, j, from);
    if (j->ends_at_bad && j->bad.index == j->answered)
        map_job_move(j, MAP_JOB_AT_BAD);
    else
        send_items(run, j, from, now);
}

void map_job_start_upload(struct map_run *run, struct map_job *j, uint64_t now)
{
    map_options_query(run->options, time_left_s(run, now), &run->path);
    map_job_move(j, MAP_JOB_RUNNING);
    j->scanned = 0;
    j->end_seen = false;
    j->tail = MAP_TAIL_NONE;
    connection_upload(&j->http, "POST", buf_cstr(&run->path), request_headers(run), -1);
}

short map_job_events(const struct map_run *run, const struct map_job *j, bool oldest)
{
    bool printing = oldest || run->options->order == MAP_ORDER_COMPLETION;
    if (j->state != MAP_JOB_RUNNING) return 0;
    if (!printing && j->http.answer.len - j->http.answer_at >= MAP_HELD_BYTES) return 0;
    return connection_events(&j->http);
}

/* Sets j->bad to the item that the problem document names as "/items/N". N counts from the attempt's first item. */
static bool find_named_item(struct map_run *run, struct map_job *j)
{
    const struct buf *answer = &j->http.answer;
    struct buf pointer = {0}, detail = {0};
    unsigned long long index;
    bool named = answer->len && json_member_read(answer->data, answer->len, "pointer", &pointer) &&
                 sscanf(buf_cstr(&pointer), "/items/%llu", &index) == 1 &&
                 json_member_read(answer->data, answer->len, "detail", &detail);
    if (named) {
        size_t offset = batch_seek(&j->batch, run->input.skip_blank, j->base + index, &j->seek_index, &j->seek_offset);
        const char *newline = memchr(j->batch.data + offset, '\n', j->batch.len - offset);
        j->bad = (struct bad_item){.index = j->base + index, .offset = offset};
        j->bad.len = newline ? (size_t)(newline - j->batch.data) - offset : 0;
        snprintf(j->bad.reason, sizeof(j->bad.reason), "%s", buf_cstr(&detail));
        named = newline != NULL;
    }
    buf_release(&pointer);
    buf_release(&detail);
    return named;
}

/* The service may have refused the body because of one bad item. In this case, this program sends the items before the
 * bad item again. From then on, this program checks the items of this job before it sends them, so that one refusal
 * suffices for all bad items. If an item passes this check and the service rejects it, the problem document names the
 * item. */
static bool was_bad_item(struct map_run *run, struct map_job *j, uint64_t now)
{
    size_t from = batch_seek(&j->batch, run->input.skip_blank, j->base, &j->seek_index, &j->seek_offset);
    if (run->options->reduce || (j->http.status != 400 && j->http.status != 413)) return false;
    if (!j->checks_items && batch_find_bad(&j->batch, run->input.form, j->base, from, &j->bad)) {
        j->checks_items = true;
        map_job_start(run, j, now);
        return true;
    }
    if (!find_named_item(run, j)) return false;
    j->ends_at_bad = true;
    j->end = (struct map_end){j->bad.index, j->bad.offset};
    if (j->bad.index == j->base)
        map_job_move(j, MAP_JOB_AT_BAD);
    else
        send_items(run, j, from, now);
    return true;
}

/* Moves the job to MAP_JOB_AT_BAD, because the only item of the attempt is too large. The item has `len` bytes, with
 * its newline. */
static void fail_too_large(struct map_job *j, size_t from, size_t len)
{
    struct buf reason = {0};
    refusal_add_text(&j->http, &reason);
    j->bad = (struct bad_item){.index = j->base, .offset = from, .len = len - 1};
    snprintf(j->bad.reason, sizeof(j->bad.reason), "a request with only this item, %zu bytes, is too large (413): %s",
             len, buf_cstr(&reason));
    j->ends_at_bad = true;
    map_job_move(j, MAP_JOB_AT_BAD);
    buf_release(&reason);
}

/* A proxy or the coordinator may refuse a request because the request is too large. After this refusal, this program
 * sends at most half as many bytes at once. No item of the refused request has run, because the head of the request
 * already gave the length of the body. */
static bool was_too_large(struct map_run *run, struct map_job *j, uint64_t now)
{
    if (run->options->reduce || j->http.status != 413 || j->http.job_was_accepted) return false;
    uint64_t items = 0;
    size_t from = batch_seek(&j->batch, run->input.skip_blank, j->base, &j->seek_index, &j->seek_offset);
    size_t len = j->end.offset - from, max = run->input.batch_max;
    size_t first = batch_piece(&j->batch, run->input.skip_blank, from, 0, &items);
    if (items == 0) return false;
    if (first >= j->end.offset) {
        fail_too_large(j, from, len);
        return true;
    }
    if (!max || len / 2 < max) input_limit_batches(&run->input, len / 2);
    map_job_start(run, j, now);
    return true;
}

void map_job_fail_refused(struct map_run *run, const struct map_job *j)
{
    const struct connection *c = &j->http;
    struct buf text = {0};
    bool is_private = run->private_fleet.fleet != NULL; /* to the user, a private fleet is a part of this program */
    if (!is_private) buf_addf(&text, "the service refused the job (%d): ", c->status);
    if (is_private && c->status != 404) buf_add_str(&text, "the job was refused: ");
    refusal_add_text(c, &text);
    if (c->status == 404 && is_private && run->options->tasks)
        buf_addf(&text, " (this run uses the tasks in the folder %s)", run->options->tasks);
    if (c->status == 404 && run->options->as_command[0])
        buf_addf(&text, ". To run the command %s: `%s`", run->options->task, run->options->as_command);
    map_run_fail(run, "%s", buf_cstr(&text));
    buf_release(&text);
}

static void was_refused(struct map_run *run, struct map_job *j, uint64_t now)
{
    if (!map_cut_handle_refusal(run, j, now) && !was_bad_item(run, j, now) && !was_too_large(run, j, now))
        map_job_fail_refused(run, j);
}

bool map_job_has_more(const struct map_run *run, struct map_job *j)
{
    if (run->options->reduce || j->ends_at_bad || j->end.offset == j->batch.len) return false;
    return batch_seek(&j->batch, run->input.skip_blank, j->end.index, &j->seek_index, &j->seek_offset) < j->batch.len;
}

/* Call it when each item of the attempt has its answer. */
static void was_answered(struct map_run *run, struct map_job *j, uint64_t now)
{
    if (map_job_has_more(run, j))
        map_job_start(run, j, now);
    else
        map_job_move(j, j->ends_at_bad ? MAP_JOB_AT_BAD : MAP_JOB_ENDED);
}

bool map_job_may_skip(const struct map_run *run, const struct map_job *j, bool oldest)
{
    return j->state == MAP_JOB_AT_BAD && (oldest || run->options->order == MAP_ORDER_COMPLETION);
}

static void skip_bad_item(struct map_run *run, struct map_job *j, uint64_t now)
{
    map_answers_add_bad_item(run, j);
    if (run->state == MAP_STOPPED) return;
    if (batch_seek(&j->batch, run->input.skip_blank, j->answered, &j->seek_index, &j->seek_offset) == j->batch.len)
        map_job_move(j, MAP_JOB_ENDED);
    else
        map_job_start(run, j, now);
}

static void read_answer(struct map_run *run, struct map_job *j, uint64_t now)
{
    struct connection *c = &j->http;
    uint64_t done = run->done;
    if (c->status == 200 && !connection_has_type(c, TYPE_NDJSON)) {
        map_cut_handle_stranger(run, j, now);
        return;
    }
    if (c->status == 200) {
        if (run->state == MAP_ASKED) map_run_move(run, MAP_ANSWERED);
        if (c->state != CONNECTION_BROKEN) outage_note_accepted(&run->outage);
        map_answers_print(run, j);
        if (map_drain_look(j)) map_answers_print(run, j);
    }
    if (run->done > done) outage_note_answer(&run->outage);
    if (run->state == MAP_STOPPED || output_failed(&run->output)) return; /* the rest of the answer is not read */
    if (c->state == CONNECTION_DONE && c->status != 200)
        was_refused(run, j, now);
    else if (c->state == CONNECTION_DONE && j->end_seen && j->tail != MAP_TAIL_DRAINED) {
        if (map_cut_check_whole(run, j)) was_answered(run, j, now);
    } else if (c->state == CONNECTION_DONE || c->state == CONNECTION_BROKEN)
        map_cut_handle(run, j, now);
}

void map_job_step(struct map_run *run, struct map_job *j, bool oldest, bool readable, uint64_t now)
{
    bool reads = oldest || run->options->order == MAP_ORDER_COMPLETION;
    if (j->state == MAP_JOB_IN_DOUBT && reads) map_cut_decide(run, j, now);
    if (j->state == MAP_JOB_BACKOFF && now >= j->retry_ns && !run->care.gate_closed) {
        if (run->options->reduce)
            map_reduce_restart(run, now);
        else
            map_job_start(run, j, now);
    }
    while (map_job_may_skip(run, j, oldest) && run->state != MAP_STOPPED) skip_bad_item(run, j, now);
    if (j->state != MAP_JOB_RUNNING) return;
    if (readable) connection_step(&j->http);
    if (reads) read_answer(run, j, now);
}
