/*
 * Encodes the items of a command as rows (item_lists.h), one on each line. Each row has one value: the line "a b"
 * becomes [0,"a b"]. Pure.
 *
 * Bytes that an item must not have are copied unchanged: bytes that are not UTF-8, and NUL bytes in lines of text. A
 * row with such bytes is not valid JSON, so its item is rejected instead of changed. Lines of JSON are copied without a
 * check.
 */
#ifndef FANTAIL_CLI_ITEMS_ROW_ENCODER_H
#define FANTAIL_CLI_ITEMS_ROW_ENCODER_H

#include "cli/items/batch.h"
#include "cli/base/done_set.h"

struct row_encoder {
    enum input_form form;        /* INPUT_JSON_ROWS, INPUT_TEXT_ROWS or INPUT_NULL_ROWS */
    uint64_t index;              /* of the next row */
    bool in_row;                 /* the row has begun */
    bool raw;                    /* the bytes become strings of common/json/byte_text.h; form is not INPUT_JSON_ROWS */
    bool skipping;               /* the row is left out */
    const struct done_set *skip; /* rows with these indexes are left out; borrowed; NULL: none */
    bool has_cr;                 /* a carriage return waits for the next byte; before a newline it is left out */
};

/* The room that row_encoder_add() needs for len bytes. */
#define ROW_ENCODER_ROOM(len) (32 * ((len) + 1))

/* Returns the number of bytes written to `out`. */
size_t row_encoder_add(struct row_encoder *e, const char *data, size_t len, char *out);
/* Ends the last row, if the row has not been ended yet. Writes at most 3 bytes, and returns their number without the
 * newline. */
size_t row_encoder_end(struct row_encoder *e, char *out);

#endif
