/*
 * A row is an item that `fantail map` sends to a command: the JSON array [index, value, ...]. The values become
 * arguments in the same way as an item (exec_item.h).
 */
#ifndef FANTAIL_HOSTS_EXEC_ROW_H
#define FANTAIL_HOSTS_EXEC_ROW_H

#include "common/base/buf.h"

struct exec_value {
    const char *json; /* borrowed from the line of the row */
    size_t json_len;
    size_t offset, len; /* the value as text, in `text` of the row; a NUL follows it */
};

struct exec_row {
    uint64_t index; /* counts from 0 */
    unsigned slot;  /* counts from 1; 0: not known. The caller sets it */
    bool raw;       /* the characters of strings are bytes (common/json/byte_text.h). The caller sets it */
    struct exec_value *values;
    size_t count, alloc;
    struct buf text;
};

/* Reads the row, which is valid JSON. If the row is not an array of this form, or a value cannot be converted to text,
 * returns false, with a static sentence in *why. */
MUST_CHECK bool exec_row_parse(struct exec_row *r, const char *json, size_t len, const char **why);
/* Makes a row of one value from an item. Returns false if the item cannot be converted to text. */
MUST_CHECK bool exec_row_set(struct exec_row *r, const char *json, size_t len);
void exec_row_release(struct exec_row *r);

static inline const char *exec_row_text(const struct exec_row *r, size_t i)
{
    return r->text.data + r->values[i].offset;
}

#endif
