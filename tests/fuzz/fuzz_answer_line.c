/* Fuzzes the readers of answer lines and of whole chunk answers. The readers must not go beyond the end of the input,
 * and must give the same result however the input is cut into pieces. */
#include "common/json/json_scan.h"
#include "coordinator/answers/answer_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct tally {
    uint64_t values, errors, ends, costs;
    size_t bytes;
};

static void check_line(const char *line, size_t len)
{
    size_t fault;
    const char *error;
    if (!json_valid(line, len, &fault, &error)) BUG("reported a line that is not JSON: %s", error);
}

static void on_values(void *data, uint64_t n, const char *lines, size_t len)
{
    struct tally *t = data;
    uint64_t seen = 0;
    for (const char *at = lines, *end = lines + len; at < end; seen++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline) BUG("a run that does not end in a newline");
        check_line(at, (size_t)(newline - at));
        at = newline + 1;
    }
    if (seen != n) BUG("%llu lines reported as %llu", (unsigned long long)seen, (unsigned long long)n);
    t->values += n;
    t->bytes += len;
}

static void on_value(void *data, struct buf *line)
{
    on_values(data, 1, line->data, line->len);
    if (line->len % 2) buf_release(line);
}

static void on_error(void *data, const struct answer_line *line, const char *bytes, size_t len)
{
    struct tally *t = data;
    if (line->kind != ANSWER_ERROR || len == 0 || bytes[len - 1] != '\n') BUG("an error line of kind %d", line->kind);
    check_line(bytes, len - 1);
    t->errors++;
    t->bytes += len;
}

static void on_end(void *data, const struct answer_line *line)
{
    struct tally *t = data;
    if (line->kind != ANSWER_END) BUG("an end line of kind %d", line->kind);
    t->ends++;
}

static void on_cost(void *data, const struct chunk_cost *cost)
{
    struct tally *t = data;
    t->costs += cost->items + cost->slot_ns + cost->chunk_ns;
}

static void on_starting(void *data, uint64_t processes)
{
    struct tally *t = data;
    t->costs += processes;
}

static bool read_answer(const char *text, size_t len, size_t piece, struct tally *t)
{
    static const struct answer_reader_ops ops = {.values = on_values,
                                                 .value = on_value,
                                                 .error = on_error,
                                                 .end = on_end,
                                                 .cost = on_cost,
                                                 .starting = on_starting};
    struct answer_reader r;
    bool ok = true;
    answer_reader_init(&r, &ops, t);
    for (size_t at = 0; ok && at < len; at += piece)
        ok = answer_reader_feed(&r, text + at, len - at < piece ? len - at : piece);
    if (!ok && !r.fault) BUG("a fault without a reason");
    answer_reader_release(&r);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = xmalloc(size ? size : 1);
    if (size) memcpy(text, data, size);
    for (int strict = 0; strict < 2; strict++) {
        struct answer_line line = answer_line_parse(text, size, strict);
        if (line.kind == ANSWER_BAD || line.kind == ANSWER_END || line.kind == ANSWER_COST ||
            line.kind == ANSWER_STARTING)
            continue;
        if (line.body < text || line.body + line.body_len > text + size) BUG("a body outside of its line");
    }
    struct tally whole = {0}, bytes = {0};
    bool whole_ok = read_answer(text, size, size + 1, &whole), bytes_ok = read_answer(text, size, 1, &bytes);
    if (whole_ok != bytes_ok || memcmp(&whole, &bytes, sizeof whole) != 0) BUG("the result depends on the cuts");
    free(text);
    return 0;
}
