#include "cli/records/array_reader.h"

void array_reader_release(struct array_reader *a)
{
    buf_release(&a->value);
    *a = (struct array_reader){0};
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Adds the value to the record, without white space at its end. */
static void end_value(struct array_reader *a, struct input_record *r)
{
    size_t len = a->value.len;
    while (len > 0 && is_blank(a->value.data[len - 1])) len--;
    record_add(r, len ? a->value.data : "", len);
    buf_clear(&a->value);
}

/* Notes a byte of a value. Returns true if the byte ends the value: a comma or a bracket outside of strings, arrays and
 * objects. */
static bool ends_value(struct array_reader *a, char c)
{
    if (a->in_string) {
        a->in_string = c != '"' || a->escaped;
        a->escaped = c == '\\' && !a->escaped;
        return false;
    }
    if (a->depth == 0 && (c == ',' || c == ']')) return true;
    a->in_string = c == '"';
    a->depth += c == '[' || c == '{';
    a->depth -= (c == ']' || c == '}') && a->depth > 0;
    return false;
}

/* Reads the bytes of a value. Returns RECORD_WHOLE at its end. */
static enum record_step read_value(struct array_reader *a, const char **data, size_t *len, struct input_record *r)
{
    while (*len > 0) {
        char c = *(*data)++;
        --*len;
        a->newlines += c == '\n';
        if (a->value.len == 0 && is_blank(c)) continue;
        if (a->value.len == 0) a->first_line = a->newlines + 1;
        if (!ends_value(a, c)) {
            buf_add_char(&a->value, c);
            continue;
        }
        bool is_empty = a->state == ARRAY_FIRST && a->value.len == 0 && c == ']';
        a->state = c == ']' ? ARRAY_ENDED : ARRAY_VALUE;
        if (is_empty) return RECORD_MORE;
        end_value(a, r);
        return RECORD_WHOLE;
    }
    return RECORD_MORE;
}

/* Reads white space up to the opening bracket, or after the closing one. */
static enum record_step read_between(struct array_reader *a, const char **data, size_t *len, const char **why)
{
    for (; *len > 0; ++*data, --*len) {
        char c = **data;
        a->newlines += c == '\n';
        if (is_blank(c)) continue;
        a->first_line = a->newlines + 1;
        *why = a->state == ARRAY_BEFORE ? "not a JSON array: it does not begin with ["
                                        : "there is more text after the end of the array";
        if (a->state != ARRAY_BEFORE || c != '[') return RECORD_FAULT;
        a->state = ARRAY_FIRST;
        ++*data;
        --*len;
        return RECORD_MORE;
    }
    return RECORD_MORE;
}

enum record_step array_reader_read(struct array_reader *a, const char **data, size_t *len, struct input_record *r,
                                   const char **why)
{
    enum record_step step = RECORD_MORE;
    while (*len > 0 && step == RECORD_MORE) {
        bool in_value = a->state == ARRAY_FIRST || a->state == ARRAY_VALUE;
        step = in_value ? read_value(a, data, len, r) : read_between(a, data, len, why);
    }
    return step;
}

enum record_step array_reader_end(struct array_reader *a, const char **why)
{
    a->first_line = a->newlines + 1;
    *why = "the array has no end";
    return a->state == ARRAY_FIRST || a->state == ARRAY_VALUE ? RECORD_FAULT : RECORD_MORE;
}
