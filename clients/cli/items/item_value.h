/* Writes a value of an item as JSON. Pure. */
#ifndef FANTAIL_CLI_ITEMS_ITEM_VALUE_H
#define FANTAIL_CLI_ITEMS_ITEM_VALUE_H

#include "common/base/buf.h"
#include "common/json/json_walk.h"

/* What the bytes of values are. */
enum item_values {
    ITEM_VALUES_TEXT,
    ITEM_VALUES_RAW, /* any bytes, which become strings of common/json/byte_text.h */
    ITEM_VALUES_JSON,
};

/* Appends the value. An item is one line, so a newline between the tokens of a JSON value becomes a space. */
void item_value_add(struct buf *out, enum item_values values, struct json_slice value);

#endif
