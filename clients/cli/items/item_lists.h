/*
 * Lists of values that make the items of a run: the values after ::: and the lines of files. Each item has one value of
 * each list. The items are all combinations, and the last list changes fastest. A linked list advances together with
 * the list before it. Linked lists end with the shortest of them. With `wraps`, all lists are linked, and a list that
 * is shorter than the longest one begins again. Pure.
 *
 * An item is written as one line of JSON. With one list the item is the value itself. With several lists it is the
 * array of the values. With `rows` it is the array [index, value, ...] for a command, where the index counts from 0.
 */
#ifndef FANTAIL_CLI_ITEMS_ITEM_LISTS_H
#define FANTAIL_CLI_ITEMS_ITEM_LISTS_H

#include "cli/base/done_set.h"
#include "common/base/buf.h"
#include "common/json/json_walk.h"

#define ITEM_LISTS_MAX          32
#define ITEM_LISTS_SHUFFLED_MAX 10000000

struct item_list {
    struct json_slice *values; /* the bytes are borrowed */
    size_t count, alloc;
    bool linked;
};

/* A zeroed struct has no lists. */
struct item_lists {
    struct item_list lists[ITEM_LISTS_MAX];
    unsigned count;
    bool text; /* the values are text; if not, they are valid JSON */
    bool raw;  /* the values are any bytes */
    bool rows;
    bool wraps;
    const struct done_set *skip; /* items with these indexes are left out; borrowed; NULL: none */
    size_t at[ITEM_LISTS_MAX];   /* for each list, the place of the next item's value */
    uint64_t index;              /* of the next item */
    uint32_t *order;             /* for each index, the number of the combination; NULL: the index itself */
};

void item_lists_release(struct item_lists *l);
/* Adds an empty list. Returns false if there are already ITEM_LISTS_MAX lists. The first list cannot be linked. */
MUST_CHECK bool item_lists_begin(struct item_lists *l, bool linked);
/* Adds a value to the last list. Borrows the bytes until item_lists_release(). */
void item_lists_add(struct item_lists *l, const char *data, size_t len);
/* Splits the text into parts that end with `separator`, and adds each part to the last list. The last part may lack the
 * separator. With JSON, parts that have only white space are left out. With text lines, a carriage return before the
 * newline is left out. */
void item_lists_add_parts(struct item_lists *l, const char *data, size_t len, char separator);
/* If `end` is not NULL, ends the last list before the first of its values that equals `end`. With `skip_blank`, drops
 * the values that have only white space. */
void item_lists_filter(struct item_lists *l, const char *end, bool skip_blank);
/* Puts the items in a random order. Call it after the last list was added and before the first item is read. Returns
 * false if there are more than ITEM_LISTS_SHUFFLED_MAX items. */
MUST_CHECK bool item_lists_shuffle(struct item_lists *l, uint64_t seed);
/* Returns the number of all items; UINT64_MAX if there are UINT64_MAX items or more. */
uint64_t item_lists_items(const struct item_lists *l);
/* Appends the next item and a newline. Leaves out items of `skip`. Returns false after the last item. */
MUST_CHECK bool item_lists_next(struct item_lists *l, struct buf *out);

/* Writes the values of the next item to the first l->count elements of `values`. Ignores `skip`. Returns false after
 * the last item. */
MUST_CHECK bool item_lists_values(struct item_lists *l, struct json_slice values[ITEM_LISTS_MAX]);
/* Drops the first value of list `i`. The list must not be empty. */
void item_lists_drop_first(struct item_lists *l, unsigned i);

/* Returns the values of a row in the form that the user sees: the only value or, if rows may have several, an array of
 * the values. The result is a part of the row, or is in *out. */
struct json_slice item_lists_row_values(bool several, struct json_slice row, struct buf *out);

#endif
