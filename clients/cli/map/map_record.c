#include "cli/map/map_internal.h"

#include <time.h>

#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/base/status_line.h"
#include "cli/map/result_line.h"
#include "cli/runs/joblog.h"
#include "cli/runs/record.h"
#include "common/json/byte_text.h"
#include "protocol/protocol.h"

enum { SHOWN_COMMAND_BYTES = 1000 }; /* a message shows at most this many bytes of a command line */

int64_t map_record_time_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Sets run->text to the bytes that the JSON string stands for (common/json/byte_text.h). */
static void decode(struct map_run *run, struct json_slice string)
{
    buf_clear(&run->text);
    if (!string.len || !json_string_decode(string, &run->text)) return;
    size_t len = byte_text_to_bytes(run->text.data, run->text.len);
    run->text.len = len == SIZE_MAX ? 0 : len;
}

/* Prints the bytes that the command has printed, and nothing else. */
static void print_raw(struct map_run *run, struct json_slice output)
{
    decode(run, output);
    output_bytes(&run->output, run->text.data, run->text.len);
}

static void print_output(struct map_run *run, const struct run_record *r)
{
    if (run->options->raw)
        print_raw(run, r->output);
    else if (!r->error.len && run->options->index)
        map_answers_print_indexed(run, r->index, "value", r->output);
    else if (!r->error.len)
        map_answers_print_value(run, r->output);
}

/* Notes an item that did not run, or did not run to its end, because the run was halted. Prints nothing. */
static void add_halted(struct map_run *run, struct map_job *j, uint64_t in_batch)
{
    run->halted = true;
    run->unrun++;
    map_answers_count(run, j, in_batch);
}

static void add_failed(struct map_run *run, struct map_job *j, uint64_t in_batch, const struct run_record *r)
{
    struct buf error = {0};
    run_record_add_error(r, &error);
    map_answers_add_failure(run, j, in_batch, (struct json_slice){error.data, error.len});
    buf_release(&error);
}

static bool has_timed_out(const struct run_record *r)
{
    struct json_walk walk;
    struct json_slice name, value;
    if (!r->error.len || !json_walk_init(&walk, r->error.data, r->error.len)) return false;
    while (json_walk_next(&walk, &name, &value))
        if (json_string_is(name, "name")) return json_string_is(value, item_error_name(ITEM_TIMED_OUT));
    return false;
}

static void say_of_command(struct map_run *run, const struct run_record *r, const char *what)
{
    struct buf line = {0};
    decode(run, r->command);
    size_t len = run->text.len, shown = len < SHOWN_COMMAND_BYTES ? len : SHOWN_COMMAND_BYTES;
    buf_addf(&line, "this command %s: ", what);
    buf_add(&line, run->text.data, shown);
    if (shown < len) buf_addf(&line, "... (%zu bytes)", len);
    complain_text(buf_cstr(&line));
    buf_release(&line);
}

/* As GNU parallel does, names each command that --timeout has ended, and each command that --halt counts. */
static void say_end(struct map_run *run, const struct run_record *r)
{
    static const char *const ends[] = {
        [RUN_GATE_FAILED] = "failed", [RUN_GATE_SUCCEEDED] = "succeeded", [RUN_GATE_DONE] = "has ended"};
    static_assert(ARRAY_SIZE(ends) == RUN_GATE_WHY_COUNT, "a word for each reason");
    enum run_gate_why why = run->options->rules.halt_why;
    bool failed = r->error.len > 0;
    bool counts = why == RUN_GATE_DONE || (why != RUN_GATE_NEVER && failed == (why == RUN_GATE_FAILED));
    if (has_timed_out(r)) say_of_command(run, r, "was killed because it timed out");
    if (counts) say_of_command(run, r, ends[why]);
}

/* Notes the exit status of the first item that --halt counts. Prints the command line if the user asked for it. */
static void add_for_parallel(struct map_run *run, const struct run_record *r)
{
    const struct map_options *o = run->options;
    bool counts = o->rules.halt_why == RUN_GATE_DONE || r->error.len > 0;
    say_end(run, r);
    int signal = (int)r->numbers[RUN_RECORD_SIGNAL], code = (int)r->numbers[RUN_RECORD_EXIT];
    if (counts && !run->counted_first) run->first_status = (code ? code : signal ? EXIT_BY_SIGNAL + signal : 0) & 255;
    run->counted_first = run->counted_first || counts;
    if (!o->manner.prints_commands && !o->manner.reports_commands) return;
    decode(run, r->command);
    buf_add_char(&run->text, '\n');
    if (o->manner.prints_commands)
        output_bytes(&run->output, run->text.data, run->text.len);
    else
        status_line_write(run->text.data, run->text.len);
}

void map_record_add(struct map_run *run, struct map_job *j, uint64_t in_batch, struct json_slice value)
{
    struct run_record r;
    if (!run_record_read(value, &r)) {
        map_run_fail(run, "the service sent a value that is not the record of a command");
        return;
    }
    run->note = NULL;
    if (r.halted) {
        add_halted(run, j, in_batch);
        return;
    }
    if (run->options->manner.is_parallel) add_for_parallel(run, &r);
    if (!run->options->line_buffer && !run->options->manner.hides_output) print_output(run, &r);
    joblog_add(&run->joblog, &r);
    if (r.error.len) {
        add_failed(run, j, in_batch, &r);
        return;
    }
    map_answers_count(run, j, in_batch);
}
