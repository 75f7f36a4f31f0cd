#include "coordinator/answers/result_writer.h"

#include "coordinator/answers/item_error.h"

static const char ndjson_value[] = "{\"type\":\"result\",\"index\":";
static const char ndjson_error[] = "{\"type\":\"error\",\"index\":";
static const char errors_index[] = "{\"index\":";
static const char canonical_value[] = "{\"value\":";
enum { CANONICAL_VALUE_LEN = sizeof canonical_value - 1 };
enum { EQUAL_BYTES = 256 * 1024 }; /* one entry covers at most this many bytes of equal lines */

static void set_index(struct result_writer *w, uint64_t index)
{
    w->index = index;
    w->digits_len = (size_t)snprintf(w->digits, sizeof w->digits, "%llu", (unsigned long long)index);
}

static void count_up(struct result_writer *w)
{
    if (w->count > 1) {
        set_index(w, w->index + w->count);
        return;
    }
    w->index++;
    size_t at = w->digits_len;
    while (at > 0 && w->digits[at - 1] == '9') w->digits[--at] = '0';
    if (at > 0)
        w->digits[at - 1]++;
    else
        set_index(w, w->index);
}

void result_writer_init(struct result_writer *w, enum result_format format)
{
    *w = (struct result_writer){.format = format, .alone_left = UINT64_MAX, .count = 1};
    set_index(w, 0);
}

static void add_prefix(struct result_writer *w, const char *bytes, size_t len)
{
    memcpy(w->prefix + w->prefix_len, bytes, len);
    w->prefix_len += len;
}

static void add_count(struct result_writer *w)
{
    char count[40];
    if (w->count > 1)
        add_prefix(w, count, (size_t)snprintf(count, sizeof count, ",\"count\":%llu", (unsigned long long)w->count));
}

/* Begins a line of NDJSON. `type`, `index`, and a `count` above 1 are written before the members of the line. */
static void begin_ndjson(struct result_writer *w, size_t len, bool is_value)
{
    add_prefix(w, is_value ? ndjson_value : ndjson_error, is_value ? sizeof ndjson_value - 1 : sizeof ndjson_error - 1);
    add_prefix(w, w->digits, w->digits_len);
    add_count(w);
    add_prefix(w, ",", 1);
    w->body_from = 1;
    w->body_len = len - 1;
}

static void begin_json(struct result_writer *w, const char *line, size_t len, bool is_value)
{
    if (w->written_lines) add_prefix(w, ",", 1);
    if (is_value) {
        w->body_from = CANONICAL_VALUE_LEN;
        w->body_len = len - CANONICAL_VALUE_LEN - 2;
        return;
    }
    if (w->on_error && !w->on_error(w->data, w->index, line, len)) w->failed = true;
    add_prefix(w, "null", 4);
    w->body_len = 0;
}

static void begin_error(struct result_writer *w, size_t len)
{
    if (w->written_lines) add_prefix(w, ",", 1);
    add_prefix(w, errors_index, sizeof errors_index - 1);
    add_prefix(w, w->digits, w->digits_len);
    add_count(w);
    add_prefix(w, ",", 1);
    w->body_from = 1;
    w->body_len = len - 2; /* the line without its first brace and its newline */
}

static bool is_value_line(const char *line, size_t len)
{
    return len > CANONICAL_VALUE_LEN && memcmp(line, canonical_value, CANONICAL_VALUE_LEN) == 0;
}

/* Returns how many of the n lines form one entry: the first line, which has len bytes, and the equal lines that follow
 * it directly. All lines of an entry together have at most EQUAL_BYTES, unless the first line alone is longer. */
static uint64_t equal_lines(const char *lines, size_t all_len, uint64_t n, size_t len)
{
    uint64_t equal = 1;
    size_t most = all_len < EQUAL_BYTES ? all_len : EQUAL_BYTES;
    while (equal < n && (equal + 1) * len <= most && memcmp(lines, lines + equal * len, len) == 0) equal++;
    return equal;
}

/* Returns how many items the next entry covers. The entry begins with the first of the n lines, which has len bytes. */
static uint64_t count_of_entry(const struct result_writer *w, const char *lines, size_t all_len, uint64_t n, size_t len)
{
    bool may_join = w->runs && w->format != RESULTS_JSON && !is_value_line(lines, len);
    return may_join ? equal_lines(lines, all_len, n, len) : 1;
}

static void begin(struct result_writer *w, const char *line, size_t len)
{
    w->prefix_len = w->prefix_at = w->body_at = 0;
    w->line_len = len;
    w->in_line = true;
    switch (w->format) {
    case RESULTS_NDJSON: begin_ndjson(w, len, is_value_line(line, len)); break;
    case RESULTS_JSON: begin_json(w, line, len, is_value_line(line, len)); break;
    case RESULTS_ERRORS: begin_error(w, len); break;
    }
}

struct result_written result_writer_write(struct result_writer *w, uint64_t first, uint64_t n, const char *lines,
                                          size_t len, char *dst, size_t cap)
{
    struct result_written done = {0};
    if (w->index != first) set_index(w, first);
    while (done.line_bytes < len && done.bytes < cap) {
        const char *line = lines + done.line_bytes;
        size_t line_len = w->line_len;
        if (!w->in_line) {
            line_len = len - done.line_bytes;
            const char *newline = n - done.lines > 1 ? memchr(line, '\n', line_len) : NULL;
            if (newline) line_len = (size_t)(newline + 1 - line);
            if (n > 1) w->count = count_of_entry(w, line, len - done.line_bytes, n - done.lines, line_len);
            begin(w, line, line_len);
        }
        done.bytes += bytes_copy_next(dst + done.bytes, cap - done.bytes, w->prefix, w->prefix_len, &w->prefix_at);
        done.bytes +=
            bytes_copy_next(dst + done.bytes, cap - done.bytes, line + w->body_from, w->body_len, &w->body_at);
        if (w->body_at < w->body_len || w->prefix_at < w->prefix_len) break;
        w->in_line = false;
        w->written_lines++;
        done.lines += w->count;
        done.line_bytes += line_len * (size_t)w->count;
        count_up(w);
    }
    return done;
}

/* Writes one line that stands for all the items of a run. The items of the run are consumed together. */
static struct result_written write_once(struct result_writer *w, const struct answer_run *run, char *dst, size_t cap)
{
    if (!w->in_line) w->count = run->n;
    struct result_written n = result_writer_write(w, run->first, 1, run->bytes, run->len, dst, cap);
    if (n.lines) n.line_bytes = run->len;
    return n;
}

/* Writes the line for each of the first `most` items of a run. */
static struct result_written write_each(struct result_writer *w, const struct answer_run *run, uint64_t most, char *dst,
                                        size_t cap)
{
    struct result_written all = {0};
    while (all.lines < most && all.bytes < cap) {
        struct result_written one =
            result_writer_write(w, run->first + all.lines, 1, run->bytes, run->len, dst + all.bytes, cap - all.bytes);
        all.bytes += one.bytes;
        all.lines += one.lines;
        if (!one.lines) break;
    }
    return all;
}

struct result_written result_writer_write_run(struct result_writer *w, const struct answer_run *run, char *dst,
                                              size_t cap)
{
    if (!w->in_line) w->count = 1;
    if (!run->repeated) return result_writer_write(w, run->first, run->n, run->bytes, run->len, dst, cap);
    if (w->format == RESULTS_JSON) return write_each(w, run, run->n, dst, cap);
    bool limited = !w->runs && item_error_is_unanswered(run->bytes, run->len);
    if (w->runs || (limited && w->alone_left == 0)) return write_once(w, run, dst, cap);
    struct result_written n = write_each(w, run, limited && w->alone_left < run->n ? w->alone_left : run->n, dst, cap);
    if (limited) w->alone_left -= n.lines;
    return n;
}
