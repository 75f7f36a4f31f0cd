#include "hosts/exec_answer.h"

#include <unistd.h>

#include "common/files/start_error.h"
#include "common/json/byte_text.h"
#include "common/json/encoding.h"
#include "common/json/json_scan.h"
#include "common/json/json_tail.h"

static const char *const output_words[] = {"auto", "json", "text", "lines", "raw"};
static_assert(ARRAY_SIZE(output_words) == EXEC_OUTPUT_COUNT, "one word for each");

bool exec_output_parse(const char *word, enum exec_output *output)
{
    for (unsigned i = 0; i < EXEC_OUTPUT_COUNT; i++) {
        if (strcmp(word, output_words[i]) != 0) continue;
        *output = (enum exec_output)i;
        return true;
    }
    return false;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

void exec_answer_error(struct buf *line, const char *name, const char *cause)
{
    buf_addf(line, "{\"error\":{\"name\":\"%s\",\"cause\":", name);
    buf_add_json_string(line, cause, strlen(cause));
    buf_add_str(line, "}}\n");
}

/* Adds the output if it is a JSON value; otherwise returns false. Replaces newlines with spaces. Both are white space
 * in JSON. */
static bool add_json(struct buf *line, const char *text, size_t len)
{
    const char *why;
    size_t where;
    while (len > 0 && is_space(text[len - 1])) len--;
    while (len > 0 && is_space(*text)) text++, len--;
    if (!json_valid(text, len, &where, &why)) return false;
    size_t start = line->len;
    buf_add(line, text, len);
    for (char *at = line->data + start; (at = memchr(at, '\n', (size_t)(line->data + line->len - at)));) *at = ' ';
    return true;
}

static size_t without_newline(const char *text, size_t len)
{
    if (len == 0 || text[len - 1] != '\n') return len;
    len--;
    return len > 0 && text[len - 1] == '\r' ? len - 1 : len;
}

/* Returns whether the output is text. If the output is not text, writes the reason to `cause`. */
static bool is_text(const char *text, size_t len, char *cause)
{
    size_t at = encoding_text_length(text, len);
    if (at == len) return true;
    const char *what = text[at] ? "is not valid UTF-8" : "has a NUL byte, so it is not text";
    snprintf(cause, EXEC_CAUSE_SIZE, "the output %s, at byte %zu; a command can print binary data in base64", what, at);
    return false;
}

static void add_lines(struct buf *line, const char *text, size_t len)
{
    const char *end = text + len;
    buf_add_char(line, '[');
    for (const char *at = text; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *next = newline ? newline + 1 : end;
        if (at > text) buf_add_char(line, ',');
        buf_add_json_string(line, at, without_newline(at, (size_t)(next - at)));
        at = next;
    }
    buf_add_char(line, ']');
}

static bool add_text(struct buf *json, enum exec_output output, const char *text, size_t len, char *cause)
{
    enum encoding encoding = encoding_of(text, len);
    const char *fault = encoding_fault(encoding);
    size_t mark = encoding_mark_bytes(encoding);
    if (fault) {
        snprintf(cause, EXEC_CAUSE_SIZE, "the output: %s", fault);
        return false;
    }
    text = len ? text + mark : "";
    len -= mark;
    bool may_be_json = output == EXEC_OUTPUT_JSON || output == EXEC_OUTPUT_AUTO;
    if (may_be_json && add_json(json, text, len)) return true;
    if (!is_text(text, len, cause)) return false;
    if (output == EXEC_OUTPUT_JSON) {
        snprintf(cause, EXEC_CAUSE_SIZE, "the output is not one JSON value");
        return false;
    }
    if (output == EXEC_OUTPUT_LINES)
        add_lines(json, text, len);
    else
        buf_add_json_string(json, text, without_newline(text, len));
    return true;
}

/* Adds the last bytes of stderr and of stdout. If earlier bytes are missing, says how many there were in all. */
static void add_written(struct buf *json, const struct runner *r)
{
    size_t len, kept_err, kept_out, out = r->out.len < r->err.most ? r->out.len : r->err.most;
    const char *err = byte_tail_get(&r->err, &len);
    buf_add_str(json, ",\"stderr\":");
    kept_err = json_tail_add(json, err, len, LIMIT_ERROR_TEXT_BYTES);
    buf_add_str(json, ",\"stdout\":");
    kept_out = json_tail_add(json, out ? r->out.data + r->out.len - out : "", out, LIMIT_ERROR_TEXT_BYTES);
    bool cut_err = kept_err < r->err.total, cut_out = kept_out < r->out.len;
    if (!cut_err && !cut_out) return;
    buf_add_str(json, ",\"cut\":{");
    if (cut_err) buf_addf(json, "\"stderr\":%llu", (unsigned long long)r->err.total);
    if (cut_out) buf_addf(json, "%s\"stdout\":%zu", cut_err ? "," : "", r->out.len);
    buf_add_char(json, '}');
}

static void say_too_long(char *cause)
{
    snprintf(cause, EXEC_CAUSE_SIZE, "more than %u bytes of output", LIMIT_ANSWER_BYTES);
}

bool exec_output_add(struct buf *json, enum exec_output output, const struct buf *out, char *cause)
{
    if (output != EXEC_OUTPUT_RAW) return add_text(json, output, out->data, out->len, cause);
    if (byte_text_add(json, out->data, out->len)) return true;
    say_too_long(cause);
    return false;
}

enum item_error exec_error_of(struct run_outcome outcome)
{
    switch (outcome.end) {
    case RUN_SIGNALLED: return ITEM_CRASHED;
    case RUN_TIMED_OUT: return ITEM_TIMED_OUT;
    case RUN_TOO_LONG: return ITEM_BAD_OUTPUT;
    case RUN_HALTED:
    case RUN_YIELDED: return ITEM_CANCELLED;
    case RUN_EXITED:
    case RUN_UNSAVED:
    case RUN_UNFED:
    case RUN_NOT_STARTED: break;
    }
    return ITEM_TASK_ERROR;
}

static char *why_not_started(const struct runner *r, const char *program, int error)
{
    char *cwd = get_current_dir_name(), *cause, why[START_ERROR_SIZE];
    start_error_write(why, r->path ? r->path : program, error);
    if (asprintf(&cause, "cannot run the command %s in the folder %s: %s", program, cwd ? cwd : "(unknown)", why) < 0)
        BUG("no memory for the text of an error");
    free(cwd);
    return cause;
}

static void say_unfed(int error, char *cause)
{
    const char *why = error ? strerror(error) : "the file has become shorter while it was read";
    snprintf(cause, EXEC_CAUSE_SIZE, "cannot read the block for the command: %s", why);
}

static void write_cause(const struct run_outcome *outcome, char *cause)
{
    switch (outcome->end) {
    case RUN_EXITED: snprintf(cause, EXEC_CAUSE_SIZE, "exit status %d", outcome->code); return;
    case RUN_SIGNALLED: snprintf(cause, EXEC_CAUSE_SIZE, "killed by signal %d", outcome->code); return;
    case RUN_TIMED_OUT: snprintf(cause, EXEC_CAUSE_SIZE, "the command took too long"); return;
    case RUN_TOO_LONG: say_too_long(cause); return;
    case RUN_HALTED:
    case RUN_YIELDED: snprintf(cause, EXEC_CAUSE_SIZE, "the run was halted"); return;
    case RUN_UNSAVED:
        snprintf(cause, EXEC_CAUSE_SIZE, "cannot write the files of --results: %s", strerror(outcome->code));
        return;
    case RUN_UNFED: say_unfed(outcome->code, cause); return;
    case RUN_NOT_STARTED: break;
    }
    BUG("the cause of a program that was not started is longer");
}

void exec_error_add(struct buf *json, const struct runner *r, const char *program, struct run_outcome outcome)
{
    char short_cause[EXEC_CAUSE_SIZE], *long_cause = NULL;
    if (outcome.end == RUN_NOT_STARTED)
        long_cause = why_not_started(r, program, outcome.code);
    else
        write_cause(&outcome, short_cause);
    const char *cause = long_cause ? long_cause : short_cause;
    buf_addf(json, "{\"name\":\"%s\",\"cause\":", item_error_name(exec_error_of(outcome)));
    buf_add_json_string(json, cause, strlen(cause));
    if (outcome.end == RUN_SIGNALLED) buf_addf(json, ",\"signal\":%d", outcome.code);
    if (outcome.end == RUN_EXITED) buf_addf(json, ",\"exit_code\":%d", outcome.code);
    if (outcome.end != RUN_NOT_STARTED) add_written(json, r);
    buf_add_char(json, '}');
    free(long_cause);
}

void exec_answer(struct buf *line, enum exec_output output, const struct runner *r, const char *program,
                 struct run_outcome outcome)
{
    char cause[EXEC_CAUSE_SIZE];
    size_t start = line->len;
    if (outcome.end != RUN_EXITED || outcome.code != 0) {
        buf_add_str(line, "{\"error\":");
        exec_error_add(line, r, program, outcome);
        buf_add_str(line, "}\n");
        return;
    }
    buf_add_str(line, "{\"value\":");
    if (exec_output_add(line, output, &r->out, cause)) {
        buf_add_str(line, "}\n");
        return;
    }
    line->len = start;
    exec_answer_error(line, item_error_name(ITEM_BAD_OUTPUT), cause);
}
