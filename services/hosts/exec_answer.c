#include "hosts/exec_answer.h"

#include <unistd.h>

#include "common/files/start_error.h"
#include "common/json/encoding.h"
#include "common/json/json_scan.h"
#include "common/json/json_tail.h"

static const char *const output_words[] = {"auto", "json", "text", "lines"};
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

static void open_error(struct buf *line, const char *name, const char *cause)
{
    buf_addf(line, "{\"error\":{\"name\":\"%s\",\"cause\":", name);
    buf_add_json_string(line, cause, strlen(cause));
}

void exec_answer_error(struct buf *line, const char *name, const char *cause)
{
    open_error(line, name, cause);
    buf_add_str(line, "}}\n");
}

/* Adds the output if it is a JSON value; otherwise returns false. Replaces newlines by spaces; both are white space in
 * JSON. */
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

/* Returns whether the output is text. If it is not, appends an error line. */
static bool is_text(struct buf *line, const char *text, size_t len)
{
    char cause[160];
    size_t at = encoding_text_length(text, len);
    if (at == len) return true;
    const char *what = text[at] ? "is not valid UTF-8" : "has a NUL byte, so it is not text";
    snprintf(cause, sizeof cause, "the output %s, at byte %zu; a command can print binary data in base64", what, at);
    exec_answer_error(line, "bad_output", cause);
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

static void add_string(struct buf *line, const char *text, size_t len)
{
    buf_add_str(line, "{\"value\":");
    buf_add_json_string(line, text, without_newline(text, len));
    buf_add_str(line, "}\n");
}

static void add_value(struct buf *line, enum exec_output output, const char *text, size_t len)
{
    enum encoding encoding = encoding_of(text, len);
    const char *fault = encoding_fault(encoding);
    size_t start = line->len, mark = encoding_mark_bytes(encoding);
    if (fault) {
        char cause[128];
        snprintf(cause, sizeof cause, "the output: %s", fault);
        exec_answer_error(line, "bad_output", cause);
        return;
    }
    text = len ? text + mark : "";
    len -= mark;
    bool json = output == EXEC_OUTPUT_JSON || output == EXEC_OUTPUT_AUTO;
    buf_add_str(line, "{\"value\":");
    if (json && add_json(line, text, len)) {
        buf_add_str(line, "}\n");
        return;
    }
    line->len = start;
    if (!is_text(line, text, len)) return;
    if (output == EXEC_OUTPUT_JSON) {
        exec_answer_error(line, "bad_output", "the output is not one JSON value");
    } else if (output == EXEC_OUTPUT_LINES) {
        buf_add_str(line, "{\"value\":");
        add_lines(line, text, len);
        buf_add_str(line, "}\n");
    } else {
        add_string(line, text, len);
    }
}

/* Ends the error with what the command wrote. */
static void add_output(struct buf *line, const struct runner *r)
{
    size_t len, out = r->out.len < r->err.most ? r->out.len : r->err.most;
    const char *err = byte_tail_get(&r->err, &len);
    buf_add_str(line, ",\"stderr\":");
    json_tail_add(line, err, len, LIMIT_ERROR_TEXT_BYTES);
    buf_add_str(line, ",\"stdout\":");
    json_tail_add(line, out ? r->out.data + r->out.len - out : "", out, LIMIT_ERROR_TEXT_BYTES);
    buf_add_str(line, "}}\n");
}

static void add_failure(struct buf *line, const struct runner *r, struct run_outcome outcome)
{
    char cause[128];
    if (outcome.end == RUN_SIGNALLED) {
        snprintf(cause, sizeof cause, "killed by signal %d", outcome.code);
        open_error(line, "crashed", cause);
        buf_addf(line, ",\"signal\":%d", outcome.code);
    } else if (outcome.end == RUN_TIMED_OUT) {
        open_error(line, "timed_out", "the command took too long");
    } else {
        snprintf(cause, sizeof cause, "exit status %d", outcome.code);
        open_error(line, "task_error", cause);
        buf_addf(line, ",\"exit_code\":%d", outcome.code);
    }
    add_output(line, r);
}

static void add_not_started(struct buf *line, const struct runner *r, const char *program, int error)
{
    char *cwd = get_current_dir_name(), *cause, why[START_ERROR_SIZE];
    start_error_write(why, r->path ? r->path : program, error);
    if (asprintf(&cause, "cannot run the command %s in the folder %s: %s", program, cwd ? cwd : "(unknown)", why) < 0)
        BUG("no memory for the text of an error");
    exec_answer_error(line, "task_error", cause);
    free(cause);
    free(cwd);
}

void exec_answer(struct buf *line, enum exec_output output, const struct runner *r, const char *program,
                 struct run_outcome outcome)
{
    char cause[80];
    switch (outcome.end) {
    case RUN_EXITED:
        if (outcome.code == 0)
            add_value(line, output, r->out.data, r->out.len);
        else
            add_failure(line, r, outcome);
        return;
    case RUN_SIGNALLED: add_failure(line, r, outcome); return;
    case RUN_NOT_STARTED: add_not_started(line, r, program, outcome.code); return;
    case RUN_TIMED_OUT: add_failure(line, r, outcome); return;
    case RUN_HALTED:
    case RUN_YIELDED: exec_answer_error(line, "halted", "the run was halted"); return;
    case RUN_TOO_LONG:
        snprintf(cause, sizeof cause, "more than %u bytes of output", LIMIT_ANSWER_BYTES);
        open_error(line, "bad_output", cause);
        add_output(line, r);
        return;
    }
}
