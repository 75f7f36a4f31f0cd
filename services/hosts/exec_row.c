#include "hosts/exec_row.h"

#include "common/json/byte_text.h"
#include "hosts/exec_item.h"

static struct exec_value *add_value(struct exec_row *r)
{
    if (r->count == r->alloc) {
        r->alloc = r->alloc ? 2 * r->alloc : 4;
        r->values = xrealloc(r->values, r->alloc * sizeof *r->values);
    }
    struct exec_value *v = &r->values[r->count++];
    *v = (struct exec_value){.offset = r->text.len};
    return v;
}

static const char *skip_string(const char *at, const char *end)
{
    while (at < end && *at != '"') at += *at == '\\' ? 2 : 1;
    return at < end ? at + 1 : end;
}

/* Returns the end of the element at `at`: the comma after the element, or `end`. */
static const char *element_end(const char *at, const char *end)
{
    for (int depth = 0; at < end;) {
        char c = *at;
        if (c == ',' && depth == 0) return at;
        depth += c == '[' || c == '{';
        depth -= c == ']' || c == '}';
        at = c == '"' ? skip_string(at + 1, end) : at + 1;
    }
    return end;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Replaces the byte text from `offset` on with the bytes that it stands for. */
static bool make_raw(struct exec_row *r, size_t offset)
{
    size_t len = byte_text_to_bytes(r->text.data + offset, r->text.len - offset);
    if (len == SIZE_MAX) return false;
    r->text.len = offset + len;
    return true;
}

static bool read_value(struct exec_row *r, const char *json, size_t len)
{
    struct exec_value *v = add_value(r);
    while (len > 0 && is_space(json[len - 1])) len--;
    while (len > 0 && is_space(*json)) json++, len--;
    v->json = json;
    v->json_len = len;
    if (!exec_item_add_text(json, len, &r->text)) return false;
    if (r->raw && !make_raw(r, v->offset)) return false;
    v->len = r->text.len - v->offset;
    buf_add_char(&r->text, '\0');
    return true;
}

bool exec_row_parse(struct exec_row *r, const char *json, size_t len, const char **why)
{
    r->count = 0;
    buf_clear(&r->text);
    const char *at = json + 1, *end = json + len - 1;
    char *number_end = NULL;
    *why = "the item is not an array of an index and values";
    if (len < 3 || json[0] != '[' || *at < '0' || *at > '9') return false;
    r->index = strtoull(at, &number_end, 10);
    at = number_end;
    if (*at != ',') return false;
    *why = r->raw ? "a value has a character above U+00FF, which is not a byte"
                  : "a value has half of a surrogate pair (\\ud800 to \\udfff), which UTF-8 cannot express";
    while (at < end) {
        const char *start = at + 1;
        at = element_end(start, end);
        if (!read_value(r, start, (size_t)(at - start))) return false;
    }
    return true;
}

bool exec_row_set(struct exec_row *r, const char *json, size_t len)
{
    r->count = 0;
    buf_clear(&r->text);
    return read_value(r, json, len);
}

void exec_row_release(struct exec_row *r)
{
    free(r->values);
    buf_release(&r->text);
    *r = (struct exec_row){0};
}
