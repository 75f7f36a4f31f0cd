#include "cli/items/item_value.h"

#include "common/json/byte_text.h"

static void add_json(struct buf *out, struct json_slice value)
{
    size_t start = out->len;
    buf_add(out, value.data, value.len);
    for (size_t i = start; i < out->len; i++)
        if (out->data[i] == '\n' || out->data[i] == '\r') out->data[i] = ' ';
}

void item_value_add(struct buf *out, enum item_values values, struct json_slice value)
{
    switch (values) {
    case ITEM_VALUES_TEXT: buf_add_json_string(out, value.data, value.len); break;
    case ITEM_VALUES_RAW:
        if (!byte_text_add(out, value.data, value.len)) BUG("a buffer without a cap is full");
        break;
    case ITEM_VALUES_JSON: add_json(out, value); break;
    }
}
