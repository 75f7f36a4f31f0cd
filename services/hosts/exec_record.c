#include "hosts/exec_record.h"

#include <signal.h>

#include "common/json/byte_text.h"
#include "protocol/run_record.h"

static void add_halted(struct buf *line, const struct exec_record *r)
{
    buf_addf(line, "{\"value\":{\"index\":%llu,\"halted\":true}}\n", (unsigned long long)r->index);
}

/* Returns the exit status for the record: 0 if a signal ended the command, 127 if the command could not be started, and
 * -1 if fantail killed the command, if its files could not be written, or if its block could not be read. In all other
 * cases, the command's own exit status. */
static int exit_of(struct run_outcome outcome)
{
    switch (outcome.end) {
    case RUN_EXITED: return outcome.code;
    case RUN_SIGNALLED: return 0;
    case RUN_NOT_STARTED: return 127;
    case RUN_TIMED_OUT:
    case RUN_TOO_LONG:
    case RUN_HALTED:
    case RUN_UNSAVED:
    case RUN_UNFED:
    case RUN_YIELDED: break;
    }
    return -1;
}

static int signal_of(struct run_outcome outcome)
{
    if (outcome.end == RUN_SIGNALLED) return outcome.code;
    bool killed = exit_of(outcome) < 0 && outcome.end != RUN_UNSAVED && outcome.end != RUN_UNFED;
    return killed ? SIGKILL : 0;
}

int exec_record_status(struct run_outcome outcome)
{
    int number = signal_of(outcome);
    return number ? 128 + number : exit_of(outcome);
}

static void add_numbers(struct buf *line, const struct exec_record *r)
{
    const struct run_usage *u = &r->runner->usage;
    const int64_t numbers[] = {
        [RUN_RECORD_SLOT] = r->slot,
        [RUN_RECORD_ATTEMPT] = r->attempt,
        [RUN_RECORD_START_US] = u->start_us,
        [RUN_RECORD_TOOK_US] = u->took_us,
        [RUN_RECORD_EXIT] = exit_of(r->outcome),
        [RUN_RECORD_SIGNAL] = signal_of(r->outcome),
        [RUN_RECORD_PEAK_BYTES] = u->peak_bytes,
        [RUN_RECORD_SENT] = (int64_t)r->sent,
        [RUN_RECORD_RECEIVED] = (int64_t)(r->runner->dropped + r->runner->out.len),
    };
    static_assert(ARRAY_SIZE(numbers) == RUN_RECORD_NUMBER_COUNT, "all numbers are written");
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        buf_addf(line, ",\"%s\":", run_record_numbers[i]);
        buf_add_i64(line, numbers[i]);
    }
}

static void add_bad_output(struct buf *line, const char *cause)
{
    buf_addf(line, ",\"error\":{\"name\":\"%s\",\"cause\":", item_error_name(ITEM_BAD_OUTPUT));
    buf_add_json_string(line, cause, strlen(cause));
    buf_add_str(line, ",\"stderr\":\"\"}");
}

static void add_output(struct buf *line, enum exec_output output, const struct exec_record *r, bool failed)
{
    char cause[EXEC_CAUSE_SIZE];
    size_t start = line->len;
    if (r->runner->lines_fd >= 0) {
        buf_add_str(line, ",\"output\":\"\"");
        return;
    }
    buf_add_str(line, ",\"output\":");
    if (exec_output_add(line, output, &r->runner->out, cause)) return;
    line->len = start;
    if (!failed) add_bad_output(line, cause);
}

void exec_record_add(struct buf *line, enum exec_output output, const struct exec_record *r)
{
    const char *worker = getenv("FANTAIL_WORKER");
    bool failed = r->outcome.end != RUN_EXITED || r->outcome.code != 0;
    if (r->outcome.end == RUN_HALTED) {
        add_halted(line, r);
        return;
    }
    buf_addf(line, "{\"value\":{\"index\":%llu,\"worker\":", (unsigned long long)r->index);
    buf_add_json_string(line, worker ? worker : "", worker ? strlen(worker) : 0);
    add_numbers(line, r);
    buf_add_str(line, ",\"command\":");
    if (!byte_text_add(line, r->command->data, r->command->len)) BUG("the line has no cap");
    add_output(line, output, r, failed);
    if (failed) {
        buf_add_str(line, ",\"error\":");
        exec_error_add(line, r->runner, r->program, r->outcome);
    }
    buf_add_str(line, "}}\n");
}
