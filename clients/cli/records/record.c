#include "cli/records/record.h"

void record_release(struct input_record *r)
{
    buf_release(&r->text);
    free(r->values);
    *r = (struct input_record){0};
}

void record_clear(struct input_record *r)
{
    buf_clear(&r->text);
    r->count = 0;
}

void record_add(struct input_record *r, const char *data, size_t len)
{
    if (r->count == r->alloc) {
        r->alloc = r->alloc ? 2 * r->alloc : 8;
        r->values = xrealloc(r->values, r->alloc * sizeof *r->values);
    }
    r->values[r->count++] = (struct record_value){.offset = r->text.len};
    record_extend(r, data, len);
}

void record_extend(struct input_record *r, const char *data, size_t len)
{
    if (len) buf_add(&r->text, data, len);
    r->values[r->count - 1].len += len;
}

struct json_slice record_value(const struct input_record *r, size_t i)
{
    return (struct json_slice){r->text.data ? r->text.data + r->values[i].offset : "", r->values[i].len};
}

bool record_text_is_blank(const char *data, size_t len)
{
    while (len > 0 && data[len - 1] && strchr(" \t\r\n", data[len - 1])) len--;
    return len == 0;
}
