#include "cli/records/csv_reader.h"

/* Returns the length of the bytes that belong to the value. */
static size_t plain_length(const struct csv_reader *c, const char *data, size_t len)
{
    size_t n = 0;
    while (n < len && data[n] != c->separator && data[n] != '\n' && data[n] != '"') n++;
    return n;
}

static size_t quoted_length(struct csv_reader *c, const char *data, size_t len)
{
    const char *quote = memchr(data, '"', len);
    size_t n = quote ? (size_t)(quote - data) : len;
    for (const char *at = data; (at = memchr(at, '\n', n - (size_t)(at - data))); at++) c->newlines++;
    return n;
}

/* Drops a carriage return at the end of the record, whose last value is not in quotes. */
static void drop_return(struct input_record *r)
{
    struct record_value *last = &r->values[r->count - 1];
    if (!last->len || r->text.data[r->text.len - 1] != '\r') return;
    last->len--;
    r->text.len--;
}

/* Ends the record. An empty line is no record. */
static enum record_step end_record(struct csv_reader *c, struct input_record *r)
{
    bool is_empty = r->count == 1 && r->values[0].len == 0 && !c->has_quotes;
    c->state = CSV_RECORD_START;
    c->has_quotes = false;
    if (is_empty) record_clear(r);
    return is_empty ? RECORD_MORE : RECORD_WHOLE;
}

static enum record_step fault(const char **why, const char *text)
{
    *why = text;
    return RECORD_FAULT;
}

static enum record_step after_quote(struct csv_reader *c, char byte, struct input_record *r, const char **why)
{
    if (byte == '"' && c->state == CSV_QUOTE) {
        record_extend(r, "\"", 1);
        c->state = CSV_QUOTED;
        return RECORD_MORE;
    }
    if (byte == '\n') return end_record(c, r);
    if (c->state == CSV_QUOTE && (byte == c->separator || byte == '\r')) {
        c->state = byte == '\r' ? CSV_RETURN : CSV_VALUE_START;
        return RECORD_MORE;
    }
    return fault(why, "after the closing quote of a value there must be a separator or the end of the line. A quote "
                      "within the value is written twice");
}

/* Handles a byte that does more than extend the value. */
static enum record_step at_special(struct csv_reader *c, char byte, struct input_record *r, const char **why)
{
    if (c->state == CSV_QUOTE || c->state == CSV_RETURN) return after_quote(c, byte, r, why);
    if (c->state == CSV_QUOTED) {
        c->state = CSV_QUOTE;
        return RECORD_MORE;
    }
    if (byte == '"') {
        if (c->state == CSV_PLAIN)
            return fault(why, "a quote is only allowed around a value. If the value has a quote, put the value in "
                              "quotes, and write its quotes twice");
        c->state = CSV_QUOTED;
        c->has_quotes = true;
        c->quote_line = c->newlines + 1;
        return RECORD_MORE;
    }
    if (byte == c->separator) {
        c->state = CSV_VALUE_START;
        return RECORD_MORE;
    }
    drop_return(r);
    return end_record(c, r);
}

enum record_step csv_reader_read(struct csv_reader *c, const char **data, size_t *len, struct input_record *r,
                                 const char **why)
{
    enum record_step step = RECORD_MORE;
    while (*len > 0 && step == RECORD_MORE) {
        bool quoted = c->state == CSV_QUOTED, after = c->state == CSV_QUOTE || c->state == CSV_RETURN;
        if (c->state == CSV_RECORD_START) c->first_line = c->newlines + 1;
        if (c->state == CSV_RECORD_START || c->state == CSV_VALUE_START) record_add(r, "", 0);
        size_t n = after ? 0 : quoted ? quoted_length(c, *data, *len) : plain_length(c, *data, *len);
        if (n > 0) record_extend(r, *data, n);
        if (n > 0 && !quoted) c->state = CSV_PLAIN;
        *data += n;
        *len -= n;
        if (*len == 0) break;
        char byte = *(*data)++;
        --*len;
        step = at_special(c, byte, r, why);
        if (byte == '\n') c->newlines++;
    }
    return step;
}

enum record_step csv_reader_end(struct csv_reader *c, struct input_record *r, const char **why)
{
    switch (c->state) {
    case CSV_QUOTED: return fault(why, "the closing quote is missing");
    case CSV_RECORD_START: return RECORD_MORE;
    case CSV_VALUE_START: record_add(r, "", 0); break;
    case CSV_PLAIN: drop_return(r); break;
    case CSV_QUOTE:
    case CSV_RETURN: break;
    }
    return end_record(c, r);
}
