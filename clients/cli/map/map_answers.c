#include "cli/map/map_internal.h"

#include "cli/base/complain.h"
#include "cli/map/result_line.h"
#include "common/json/json_walk.h"

/* The error name of an item that this program did not send, because no coordinator would accept it. The error names of
 * the service are in protocol.h. */
#define BAD_ITEM_NAME "bad_item"

/* The error name of an item that may have run on a coordinator that was lost. */
#define LOST_ITEM_NAME "coordinator_lost"

/* Prints a value as plain text. A string is printed without quotes and escapes. */
static void print_text(struct map_run *run, const char *value, size_t len)
{
    if (value[0] != '"') {
        output_line(&run->output, value, len);
    } else if (!memchr(value, '\\', len)) {
        output_line(&run->output, value + 1, len - 2);
    } else {
        buf_clear(&run->text);
        if (json_string_decode((struct json_slice){value, len}, &run->text))
            output_line(&run->output, run->text.data, run->text.len);
    }
}

void map_answers_print_value(struct map_run *run, struct json_slice value)
{
    if (run->options->values_are_text)
        print_text(run, value.data, value.len);
    else
        output_line(&run->output, value.data, value.len);
}

void map_answers_print_indexed(struct map_run *run, uint64_t index, const char *name, struct json_slice content)
{
    buf_clear(&run->text);
    buf_addf(&run->text, "{\"index\":%llu,\"%s\":", (unsigned long long)index, name);
    buf_add(&run->text, content.data, content.len);
    buf_add_char(&run->text, '}');
    output_line(&run->output, run->text.data, run->text.len);
}

/* Returns the number of the item's line in the input; 0: not known. */
static uint64_t line_of(struct map_run *run, struct map_job *j, uint64_t in_batch)
{
    if (run->options->reduce || !j->batch.first_line) return 0;
    size_t offset = batch_seek(&j->batch, run->input.skip_blank, in_batch, &j->seek_index, &j->seek_offset);
    return batch_line(&j->batch, offset);
}

/* Returns the item in the form that the user sees. `line` is the line of the item in the batch. */
static struct json_slice shown_item(struct map_run *run, struct json_slice line)
{
    if (!run->options->sends_rows) return line;
    return input_source_shown(&run->options->source, line, &run->text);
}

/* Returns the index of the item in the input. Items that were left out because an earlier run has done them count too.
 * The row of a command's item contains the index. */
static uint64_t index_of(struct map_run *run, struct map_job *j, uint64_t in_batch)
{
    bool in_order = run->options->order == MAP_ORDER_INPUT && !run->options->reduce;
    if (run->options->sends_rows && !run->options->reduce) {
        struct json_slice row = batch_item(&j->batch, run->input.skip_blank, in_batch, &j->seek_index, &j->seek_offset);
        return row.len > 1 ? strtoull(row.data + 1, NULL, 10) : 0;
    }
    uint64_t sent = in_order ? run->done : j->first + unanswered_place(&j->unanswered, in_batch);
    return done_set_nth_left(&run->done_before, sent, &run->done_place);
}

void map_answers_count(struct map_run *run, struct map_job *j, uint64_t in_batch)
{
    struct input_source *source = run->input.source;
    if (source->has_blocks && !run->options->reduce)
        input_source_free_block(
            source, batch_item(&j->batch, run->input.skip_blank, in_batch, &j->seek_index, &j->seek_offset));
    j->answered++;
    run->done++;
}

/* `error` is the error object. `item` is the item's line, for the --errors file; `item` may be empty. */
static void add_failure(struct map_run *run, struct map_job *j, uint64_t in_batch, struct json_slice error,
                        struct json_slice item, bool text)
{
    uint64_t index = index_of(run, j, in_batch);
    uint64_t line = failures_reports(&run->failures) ? line_of(run, j, in_batch) : 0;
    failures_add(&run->failures, index, line, error.data, error.len, item.data, item.len, text);
    bool prints = !run->options->skip_failed && !run->options->reduce && !run->options->raw;
    if (prints && run->options->index)
        map_answers_print_indexed(run, index, "error", error);
    else if (prints)
        output_line(&run->output, "null", 4);
    map_answers_count(run, j, in_batch);
    int64_t tolerated = run->options->tolerated_failure_count;
    if (tolerated >= 0 && failures_failed(&run->failures) > (uint64_t)tolerated)
        map_run_fail(run, "more items have failed than --tolerated-failure-count allows (%lld)", (long long)tolerated);
}

void map_answers_add_failure(struct map_run *run, struct map_job *j, uint64_t in_batch, struct json_slice error)
{
    struct json_slice item = {0};
    if (run->failures.file)
        item = batch_item(&j->batch, run->input.skip_blank, in_batch, &j->seek_index, &j->seek_offset);
    add_failure(run, j, in_batch, error, shown_item(run, item), run->options->sends_text);
}

/* Adds an item without a record to the joblog. Call it before add_failure(), because index_of() is right only until the
 * item is counted. */
static void log_lost(struct map_run *run, struct map_job *j, uint64_t in_batch, struct json_slice error)
{
    joblog_add_lost(&run->joblog, index_of(run, j, in_batch), error, map_record_time_us());
}

/* Adds the value of a task to the joblog. Call it before map_answers_count(). The answer does not say when the item
 * began, so the log has the time at which the value arrived. */
static void log_value(struct map_run *run, struct map_job *j, uint64_t in_batch, struct json_slice value)
{
    const struct run_record r = {
        .index = index_of(run, j, in_batch),
        .numbers = {[RUN_RECORD_START_US] = map_record_time_us(), [RUN_RECORD_RECEIVED] = (int64_t)value.len},
    };
    joblog_add(&run->joblog, &r);
}

static void add_failed_item(struct map_run *run, struct map_job *j, const struct result_line *r)
{
    uint64_t in_batch = j->base + r->index;
    struct json_slice item = {0}, error = {r->body, r->len};
    run->note = NULL;
    if (run->options->reduce) {
        in_batch = map_reduce_index(&run->reduction, r->index);
        item = map_reduce_item(run, r->index);
    } else if (run->failures.file) {
        item = batch_item(&j->batch, run->input.skip_blank, in_batch, &j->seek_index, &j->seek_offset);
    }
    if (result_line_cut(r) != RESULT_NOT_CUT)
        run->failures.cancelled++;
    else
        log_lost(run, j, in_batch, error);
    add_failure(run, j, in_batch, error, shown_item(run, item), run->options->sends_text);
}

/* Returns whether batches hold each text as a JSON string. */
static bool is_string_form(enum input_form form)
{
    return form == INPUT_NULLS || form == INPUT_TEXT_ROWS || form == INPUT_NULL_ROWS;
}

/* The --errors file gets the item as text, because the item need not be valid JSON. In this text form, bytes that are
 * not UTF-8 are replaced, so the item is also written in base64. */
void map_answers_add_bad_item(struct map_run *run, struct map_job *j)
{
    const struct bad_item *bad = &j->bad;
    struct buf error = {0}, own = {0};
    struct json_slice item = {j->batch.data + bad->offset, bad->len};
    if (input_form_has_rows(run->input.form)) item = batch_row_value(item.data, item.len);
    if (is_string_form(run->input.form)) {
        if (json_string_decode(item, &own))
            item = (struct json_slice){own.data, own.len};
        else if (item.len && item.data[0] == '"') /* only the beginning of the string was kept */
            item = (struct json_slice){item.data + 1, item.len - 1};
    }
    buf_add_str(&error, "{\"name\":\"" BAD_ITEM_NAME "\",\"cause\":");
    buf_add_json_string(&error, bad->reason, strlen(bad->reason));
    buf_add_str(&error, ",\"signal\":null,\"exit_code\":null,\"stderr\":\"\",\"attempts\":0,\"worker\":null}");
    j->ends_at_bad = false;
    log_lost(run, j, bad->index, (struct json_slice){error.data, error.len});
    add_failure(run, j, bad->index, (struct json_slice){error.data, error.len}, item, true);
    buf_release(&error);
    buf_release(&own);
}

/* Returns the reason why the item must not run twice. */
static const char *why_once(const struct map_options *o)
{
    if (o->command && o->max_attempts == 1) return "a command runs only once for an item";
    return o->max_attempts == 1 ? "--max-attempts 1 forbids a second run" : "its task may not run twice";
}

void map_answers_add_lost_item(struct map_run *run, struct map_job *j, uint64_t in_batch)
{
    struct buf error = {0}, cause = {0};
    struct json_slice item = {0};
    if (run->failures.file)
        item = batch_item(&j->batch, run->input.skip_blank, in_batch, &j->seek_index, &j->seek_offset);
    buf_addf(&cause, "the coordinator was lost, so it is not known whether the item ran, and %s: %s",
             why_once(run->options), run->lost_why);
    buf_add_str(&error, "{\"name\":\"" LOST_ITEM_NAME "\",\"cause\":");
    buf_add_json_string(&error, cause.data, cause.len);
    buf_add_str(&error, ",\"signal\":null,\"exit_code\":null,\"stderr\":\"\",\"attempts\":1,\"worker\":null}");
    log_lost(run, j, in_batch, (struct json_slice){error.data, error.len});
    add_failure(run, j, in_batch, (struct json_slice){error.data, error.len}, shown_item(run, item),
                run->options->sends_text);
    buf_release(&error);
    buf_release(&cause);
}

static void add_end(struct map_run *run, struct map_job *j, const struct result_line *r)
{
    j->end_seen = true;
    /* With --reduce the answer has no line for each item, so the end line gives the number of items that are done. */
    if (run->options->reduce) run->done = r->total + run->reduction.left_out_count;
    buf_clear(&run->hint);
    if (r->hint.len && !json_string_decode(r->hint, &run->hint)) buf_clear(&run->hint);
    bool good =
        (r->len == 9 && memcmp(r->body, "succeeded", 9) == 0) || (r->len == 7 && memcmp(r->body, "partial", 7) == 0);
    if (good) return;
    struct buf why = {0};
    bool has_reason = r->why.len > 0 && json_string_decode(r->why, &why);
    map_run_fail(run, "the job ended as %.*s%s%s", (int)r->len, r->body, has_reason ? ": " : "",
                 has_reason ? buf_cstr(&why) : "");
    buf_release(&why);
}

/* Sets the note of the progress line; the next answer removes it. If the job waits for a worker and no progress line is
 * shown, writes "waiting for a worker" once. */
static void wait_for_worker(struct map_run *run, const struct result_line *r)
{
    if (r->len == 8 && memcmp(r->body, "starting", 8) == 0) {
        snprintf(run->starting_note, sizeof(run->starting_note), "starting (%llu process%s)",
                 (unsigned long long)r->processes, r->processes == 1 ? "" : "es");
        run->note = run->starting_note;
        return;
    }
    if (!run->waiting_is_said && !run->progress.on && !run->options->quiet) complain("waiting for a worker");
    run->waiting_is_said = true;
    run->note = "waiting for a worker";
}

/* Notes that the item has an answer. With MAP_ORDER_COMPLETION, the item must not have an answer yet. With
 * MAP_ORDER_INPUT, the item must be the first one without an answer. Stops the run if the item breaks the rule of its
 * order. */
static bool note_answer(struct map_run *run, struct map_job *j, uint64_t index)
{
    if (run->options->reduce) return true;
    bool in_order = run->options->order == MAP_ORDER_INPUT;
    if (in_order ? index == j->answered - j->base : unanswered_note(&j->unanswered, index)) return true;
    map_run_fail(run, "the service sent an answer out of order, or an answer to an item that the job does not have");
    return false;
}

/* One line may be the answer to several items. */
static void add_failed_items(struct map_run *run, struct map_job *j, const struct result_line *r)
{
    struct result_line one = *r;
    for (uint64_t i = 0; i < r->count && run->state != MAP_STOPPED; i++, one.index++)
        if (note_answer(run, j, one.index)) add_failed_item(run, j, &one);
}

bool map_answers_check_line(struct map_run *run, const struct result_line *r)
{
    bool good = r->kind != RESULT_BAD && (r->count <= 1 || r->count <= run->input.lines);
    if (!good) map_run_fail(run, "the service sent a line that is not a result");
    return good;
}

static void handle_rare_line(struct map_run *run, struct map_job *j, const struct result_line *r)
{
    if (!map_answers_check_line(run, r)) return;
    switch (r->kind) {
    case RESULT_VALUE: /* the value of --reduce, which has no index */
        map_answers_print_value(run, (struct json_slice){r->body, r->len});
        run->reduction.printed = true;
        break;
    case RESULT_ERROR:
        if (r->has_index) {
            add_failed_items(run, j, r);
        } else {
            map_run_fail(run, "the job failed: %.*s", (int)(r->len < 400 ? r->len : 400), r->body);
        }
        break;
    case RESULT_END: add_end(run, j, r); break;
    case RESULT_WAITING: wait_for_worker(run, r); break;
    case RESULT_OTHER:
    case RESULT_BAD: break;
    }
}

static inline void add_value(struct map_run *run, struct map_job *j, uint64_t index, struct json_slice value)
{
    if (!note_answer(run, j, index)) return;
    if (run->options->records) {
        map_record_add(run, j, j->base + index, value);
        return;
    }
    if (run->options->index)
        map_answers_print_indexed(run, index_of(run, j, j->base + index), "value", value);
    else
        map_answers_print_value(run, value);
    run->note = NULL;
    if (run->options->joblog) log_value(run, j, j->base + index, value);
    map_answers_count(run, j, j->base + index);
}

void map_answers_print_line(struct map_run *run, struct map_job *j, const struct result_line *r)
{
    if (r->kind == RESULT_VALUE && r->has_index)
        add_value(run, j, r->index, (struct json_slice){r->body, r->len});
    else
        handle_rare_line(run, j, r);
}

/* Returns whether the line is the first one of a tail that must be held. */
static bool begins_tail(struct map_job *j, const struct result_line *r)
{
    if (r->kind != RESULT_ERROR || j->tail != MAP_TAIL_NONE) return false;
    if (result_line_cut(r) != RESULT_NOT_CUT) j->tail = MAP_TAIL_HELD;
    return j->tail == MAP_TAIL_HELD;
}

/* Prints a line of the answer that does not have the usual form. If the line begins a tail, prints nothing and returns
 * false. */
static bool print_unusual_line(struct map_run *run, struct map_job *j, const char *line, size_t len)
{
    struct result_line r = result_line_read_slowly(line, len);
    if (begins_tail(j, &r)) return false;
    map_answers_print_line(run, j, &r);
    return true;
}

void map_answers_print(struct map_run *run, struct map_job *j)
{
    struct buf *answer = &j->http.answer;
    if (j->http.answer_at == answer->len || j->tail == MAP_TAIL_HELD || j->tail == MAP_TAIL_DRAINED) return;
    const char *at = answer->data + j->http.answer_at, *end = answer->data + answer->len;
    size_t scanned = j->scanned;
    while (at < end && run->state != MAP_STOPPED) {
        const char *newline = memchr(at + scanned, '\n', (size_t)(end - at) - scanned);
        if (!newline) {
            scanned = (size_t)(end - at);
            break;
        }
        scanned = 0;
        uint64_t index;
        struct json_slice value;
        size_t len = (size_t)(newline - at);
        if (result_line_read_value(at, len, &index, &value))
            add_value(run, j, index, value);
        else if (!print_unusual_line(run, j, at, len))
            break;
        at = newline + 1;
        if (output_failed(&run->output)) break;
    }
    j->http.answer_at = (size_t)(at - answer->data);
    j->scanned = scanned;
}
