#include "cli/records/record_reader.h"

#include <stdarg.h>

#include "common/base/limits.h"
#include "common/json/encoding.h"

void record_reader_release(struct record_reader *r)
{
    record_release(&r->record);
    array_reader_release(&r->array);
    buf_release(&r->line);
    *r = (struct record_reader){0};
}

enum record_step record_reader_fail(struct record_reader *r, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(r->why, sizeof r->why, fmt, args);
    va_end(args);
    return RECORD_FAULT;
}

static enum record_step check_length(struct record_reader *r, size_t len)
{
    if (len <= LIMIT_ITEM_BYTES) return RECORD_MORE;
    return record_reader_fail(r, "longer than %u MiB", LIMIT_ITEM_BYTES >> 20);
}

static enum record_step check_count(struct record_reader *r)
{
    if (r->record.count <= RECORD_VALUES_MAX) return RECORD_MORE;
    return record_reader_fail(r, "more than %d values", RECORD_VALUES_MAX);
}

/* Checks the complete record. */
static enum record_step check(struct record_reader *r)
{
    if (check_count(r)) return RECORD_FAULT;
    const struct buf *text = &r->record.text;
    size_t good = r->raw ? text->len : encoding_text_length(text->data, text->len);
    if (good == text->len) return RECORD_WHOLE;
    if (text->data[good]) return record_reader_fail(r, "not valid UTF-8");
    return record_reader_fail(r, "has a NUL byte%s",
                              r->form == RECORD_CSV ? "" : ". If the items end with NUL bytes, give -0");
}

/* Makes the record of a line or text. */
static enum record_step cut(struct record_reader *r, const char *line, size_t len)
{
    if (check_length(r, len)) return RECORD_FAULT;
    if (r->form == RECORD_LINES && !r->raw && len > 0 && line[len - 1] == '\r') len--;
    record_clear(&r->record);
    if (r->separator)
        separator_cut(r->separator, line, len, &r->record);
    else
        separator_add_trimmed(&r->record, line, len, r->trims_left, r->trims_right);
    return check(r);
}

static enum record_step cut_unless_blank(struct record_reader *r, const char *line, size_t len)
{
    return r->skip_blank && record_text_is_blank(line, len) ? RECORD_MORE : cut(r, line, len);
}

static enum record_step cut_line(struct record_reader *r, const char *data, size_t len)
{
    r->number = ++r->lines;
    if (!r->line.len) return cut_unless_blank(r, data, len);
    if (len) buf_add(&r->line, data, len);
    enum record_step step = cut_unless_blank(r, r->line.data, r->line.len);
    buf_clear(&r->line);
    return step;
}

static enum record_step read_line(struct record_reader *r, const char **data, size_t *len)
{
    const char *end = memchr(*data, r->form == RECORD_NULLS ? r->delimiter : '\n', *len), *line = *data;
    size_t n = end ? (size_t)(end - *data) : *len;
    *data += n + (end != NULL);
    *len -= n + (end != NULL);
    if (end) return cut_line(r, line, n);
    buf_add(&r->line, line, n);
    r->number = r->lines + 1;
    return check_length(r, r->line.len);
}

static enum record_step read_csv(struct record_reader *r, const char **data, size_t *len)
{
    const char *why = NULL;
    if (r->is_read) record_clear(&r->record);
    r->is_read = false;
    enum record_step step =
        data ? csv_reader_read(&r->csv, data, len, &r->record, &why) : csv_reader_end(&r->csv, &r->record, &why);
    r->is_read = step == RECORD_WHOLE;
    r->number = r->csv.first_line;
    if (step == RECORD_WHOLE) return check_length(r, r->record.text.len) ? RECORD_FAULT : check(r);
    if (step == RECORD_MORE) return check_length(r, r->record.text.len) ? RECORD_FAULT : check_count(r);
    r->number = data ? r->csv.newlines + 1 : r->csv.quote_line;
    return record_reader_fail(r, "%s", why);
}

static enum record_step read_array(struct record_reader *r, const char **data, size_t *len)
{
    const char *why = NULL;
    record_clear(&r->record);
    enum record_step step =
        data ? array_reader_read(&r->array, data, len, &r->record, &why) : array_reader_end(&r->array, &why);
    r->number = r->array.first_line;
    if (step == RECORD_FAULT) return record_reader_fail(r, "%s", why);
    if (step == RECORD_MORE) return check_length(r, r->array.value.len);
    return check_length(r, r->record.text.len) ? RECORD_FAULT : check(r);
}

enum record_step record_reader_read(struct record_reader *r, const char **data, size_t *len)
{
    enum record_step step = RECORD_MORE;
    if (r->form == RECORD_ARRAY) return read_array(r, data, len);
    while (*len > 0 && step == RECORD_MORE)
        step = r->form == RECORD_CSV ? read_csv(r, data, len) : read_line(r, data, len);
    return step;
}

enum record_step record_reader_end(struct record_reader *r)
{
    if (r->form == RECORD_CSV) return read_csv(r, NULL, NULL);
    if (r->form == RECORD_ARRAY) return read_array(r, NULL, NULL);
    return r->line.len ? cut_line(r, "", 0) : RECORD_MORE;
}

enum record_step record_reader_cut(struct record_reader *r, const char *text, size_t len)
{
    if (r->form != RECORD_CSV) return cut(r, text, len);
    r->csv = (struct csv_reader){.separator = r->csv.separator};
    record_clear(&r->record);
    enum record_step step = record_reader_read(r, &text, &len);
    if (step == RECORD_MORE) step = record_reader_end(r);
    while (len > 0 && (*text == '\n' || *text == '\r')) text++, len--; /* empty lines after the record */
    if (step == RECORD_WHOLE && len > 0) return record_reader_fail(r, "more than one record of CSV");
    if (step != RECORD_MORE) return step;
    record_add(&r->record, "", 0);
    return RECORD_WHOLE;
}
