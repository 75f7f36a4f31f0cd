#include "hosts/exec_answer.h"

#include "common/json/json_scan.h"

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

/* Adds the output if it is a JSON value; otherwise returns false. Newlines in it become blanks: they are white space.
 */
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
    if (len > 0 && text[len - 1] == '\n') len--;
    if (len > 0 && text[len - 1] == '\r') len--;
    return len;
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

static void add_value(struct buf *line, enum exec_output output, const char *text, size_t len)
{
    size_t start = line->len;
    buf_add_str(line, "{\"value\":");
    if (output == EXEC_OUTPUT_LINES) {
        add_lines(line, text, len);
    } else if (output == EXEC_OUTPUT_TEXT || !add_json(line, text, len)) {
        if (output == EXEC_OUTPUT_JSON) {
            line->len = start;
            exec_answer_error(line, "bad_output", "the output is not one JSON value");
            return;
        }
        buf_add_json_string(line, text, without_newline(text, len));
    }
    buf_add_str(line, "}\n");
}

static void add_failure(struct buf *line, const struct runner *r, struct run_outcome outcome)
{
    char cause[128];
    if (outcome.end == RUN_SIGNALLED) {
        snprintf(cause, sizeof cause, "killed by signal %d", outcome.code);
        open_error(line, "crashed", cause);
        buf_addf(line, ",\"signal\":%d", outcome.code);
    } else {
        snprintf(cause, sizeof cause, "exit status %d", outcome.code);
        open_error(line, "task_error", cause);
        buf_addf(line, ",\"exit_code\":%d", outcome.code);
    }
    buf_add_str(line, ",\"stderr\":");
    buf_add_json_string(line, r->stderr_tail, r->stderr_len);
    buf_add_str(line, "}}\n");
}

void exec_answer(struct buf *line, enum exec_output output, const struct runner *r, struct run_outcome outcome)
{
    char cause[512];
    switch (outcome.end) {
    case RUN_EXITED:
        if (outcome.code == 0)
            add_value(line, output, r->out.data, r->out.len);
        else
            add_failure(line, r, outcome);
        return;
    case RUN_SIGNALLED: add_failure(line, r, outcome); return;
    case RUN_NOT_STARTED:
        snprintf(cause, sizeof cause, "cannot run the command: %s", strerror(outcome.code));
        exec_answer_error(line, "task_error", cause);
        return;
    case RUN_TIMED_OUT: exec_answer_error(line, "timed_out", "the command took too long"); return;
    case RUN_TOO_LONG:
        snprintf(cause, sizeof cause, "more than %u bytes of output", LIMIT_ANSWER_BYTES);
        exec_answer_error(line, "bad_output", cause);
        return;
    }
}
