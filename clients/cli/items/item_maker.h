/*
 * Makes items from records, as lines of JSON. Pure.
 *
 *                         an item of a task                 an item of a command (item_lists.h)
 *     one value           "a"                               [0,"a"]
 *     columns             ["a","b"]                         [0,"a","b"]
 *     columns with names  {"x":"a","y":"b"}                 [0,"a","b"]
 *     grouped             an array of the items above       [0,"a","b","c","d"]
 */
#ifndef FANTAIL_CLI_ITEMS_ITEM_MAKER_H
#define FANTAIL_CLI_ITEMS_ITEM_MAKER_H

#include "cli/base/done_set.h"
#include "cli/items/item_value.h"
#include "cli/items/line_length.h"
#include "cli/records/header_names.h"

struct item_maker {
    enum item_values values;
    bool rows;                        /* for a command */
    bool columns;                     /* an item of a task is an array, even if the record has one value */
    const struct header_names *names; /* NULL: none; borrowed */
    /* A group has at most this many records; 0: no limit. Without a group_max and a length_max, each record is an item.
     */
    size_t group_max;
    size_t length_max; /* of the command line of a group; 0: no limit. A group has at least one record */
    struct line_length length;
    size_t shares; /* the records of the last group are shared evenly among this many items; 0: they are not */
    const struct done_set *skip; /* items with these indexes are left out; borrowed; NULL: none */
    uint64_t index;              /* of the next item */
    struct buf held;             /* the records of the present group, as JSON, with commas between them */
    size_t *ends;                /* where each of these records ends in `held` */
    size_t count, alloc, held_length;
};

void item_maker_release(struct item_maker *m);
/* Returns whether an item may have several values, even if each record comes from one value. */
bool item_maker_has_several(const struct item_maker *m);
/* Adds a record, whose values are valid. Appends the complete items to *out, each with a newline. */
void item_maker_add(struct item_maker *m, const struct input_record *r, struct buf *out);
/* Appends the last items. */
void item_maker_end(struct item_maker *m, struct buf *out);

#endif
