/*
 * A batch: consecutive items of the input as whole lines. One job takes one batch. Pure.
 *
 * With `skip_blank`, the functions do not count blank lines (lines with only white space), which are not items in JSON
 * input.
 */
#ifndef FANTAIL_CLI_ITEMS_BATCH_H
#define FANTAIL_CLI_ITEMS_BATCH_H

#include "common/base/base.h"
#include "common/json/json_walk.h"

enum input_form {
    INPUT_JSON,  /* one JSON value per line; blank lines are not items */
    INPUT_TEXT,  /* one text per line */
    INPUT_NULLS, /* each text ends with a NUL byte; batches hold them as JSON strings, one per line */
    /* The same three forms for a run that maps a command. Batches hold the items as rows of one value
     * (row_encoder.h). */
    INPUT_JSON_ROWS,
    INPUT_TEXT_ROWS,
    INPUT_NULL_ROWS,
};

static inline bool input_form_has_rows(enum input_form form)
{
    return form == INPUT_JSON_ROWS || form == INPUT_TEXT_ROWS || form == INPUT_NULL_ROWS;
}

struct batch {
    char *data; /* owned by the holder of the batch */
    size_t len, alloc;
    uint64_t first_line; /* number of the first line in the input, from 1 on; 0: not known */
    uint64_t lines;      /* all lines, or with JSON the lines that are not empty; for the progress line */
    uint64_t newlines;   /* all lines */
    bool indented;       /* a line begins with white space, so a line that is not empty may be blank */
    bool too_long;       /* the batch is only the beginning of a line of more than LIMIT_ITEM_BYTES */
};

/* Makes room for `extra` more bytes. */
void batch_reserve(struct batch *b, size_t extra);

/* Returns how many items the batch has. */
uint64_t batch_count(const struct batch *b, bool skip_blank);
/* Returns the offset of item `index`, or b->len if the batch has fewer items. *at and *offset are the result of the
 * last search: item *at begins at *offset. The search starts at *offset, or at the beginning of the batch if the item
 * is before *at. The search sets *at and *offset to the item that it finds. */
size_t batch_seek(const struct batch *b, bool skip_blank, uint64_t index, uint64_t *at, size_t *offset);
/* Returns the line of item `index` without its newline. The line is borrowed. The line is empty if the batch has no
 * item with this index. */
struct json_slice batch_item(const struct batch *b, bool skip_blank, uint64_t index, uint64_t *at, size_t *offset);
/* Returns the end of the longest piece that begins at `from` and has at most max_bytes bytes. The piece has whole lines
 * only, and at least one item, so a long item may make the piece longer than max_bytes. Adds the number of items in the
 * piece to *count. */
size_t batch_piece(const struct batch *b, bool skip_blank, size_t from, size_t max_bytes, uint64_t *count);
/* Returns the value of a row with one value. The row may be cut off at its end. */
struct json_slice batch_row_value(const char *row, size_t len);
/* Returns the number of the line at `offset` in the input; 0: not known. */
uint64_t batch_line(const struct batch *b, size_t offset);

/* An item that no coordinator accepts. */
struct bad_item {
    uint64_t index; /* index of the item in the batch */
    size_t offset, len;
    char reason[320];
};

/* Finds the first bad item. The search starts with item `index`, which is at `offset`. Returns false if no bad item is
 * found. */
MUST_CHECK bool batch_find_bad(const struct batch *b, enum input_form form, uint64_t index, size_t offset,
                               struct bad_item *bad);
/* Returns whether the line at `offset` begins with a byte order mark. A service would skip a byte order mark at the
 * start of a body. */
bool batch_has_mark_at(const struct batch *b, size_t offset);

#endif
