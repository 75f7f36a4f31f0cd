/* Reads the labels of a job. */
#include "common/json/json_own.h"
#include "coordinator/items/jobspec_fields.h"

bool job_label_is_valid(const char *text, size_t len)
{
    if (len == 0 || len > JOB_LABEL_BYTES) return false;
    const unsigned char *at = (const unsigned char *)text, *end = at + len;
    for (; at < end; at++) {
        bool is_long_control = *at == 0xc2 && at + 1 < end && at[1] < 0xa0; /* U+0080 to U+009F */
        if (*at < ' ' || *at == 0x7f || is_long_control || *at == ',') return false;
    }
    return true;
}

/* Returns whether the JSON value is a string that can be a label. Writes its decoded text to `text`. */
static bool is_label(struct json_slice v, struct buf *text)
{
    buf_clear(text);
    return v.data[0] == '"' && !json_string_fault(v) && json_string_decode(v, text) &&
           job_label_is_valid(text->data, text->len);
}

bool jobspec_read_labels(struct json_slice array, char **labels)
{
    struct json_walk w;
    struct json_slice element;
    struct buf out = {0}, text = {0};
    size_t n = 0, len;
    bool ok = array.data[0] == '[' && json_walk_init(&w, array.data, array.len);
    while (ok && json_walk_next(&w, NULL, &element)) {
        ok = n < JOB_LABELS_MAX && is_label(element, &text);
        if (!ok) break;
        buf_add_char(&out, n++ == 0 ? '[' : ',');
        buf_add_json_string(&out, text.data, text.len);
    }
    if (ok && n > 0) {
        buf_add_char(&out, ']');
        buf_cstr(&out);
        *labels = buf_detach(&out, &len);
    }
    buf_release(&out);
    buf_release(&text);
    return ok;
}
