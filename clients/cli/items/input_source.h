/*
 * Where the items of a run come from: a file descriptor, or lists of values. The combinations of the lists are not
 * stored: each one is made when it is read. Every source is read as bytes. The bytes of lists, of records and of blocks
 * are lines of JSON.
 *
 * The row of a block is [index, offset, bytes], or [index, offset, bytes, number of a descriptor] if the block is in a
 * file of its own.
 */
#ifndef FANTAIL_CLI_ITEMS_INPUT_SOURCE_H
#define FANTAIL_CLI_ITEMS_INPUT_SOURCE_H

#include <sys/types.h>

#include "cli/blocks/block_source.h"
#include "cli/items/item_lists.h"
#include "cli/items/record_source.h"

struct input_source {
    int fd;       /* with lists, a descriptor that is always readable */
    bool owns_fd; /* input_source_release() closes it */
    bool has_lists;
    bool raw;                    /* the items are any bytes, which become strings of common/json/byte_text.h */
    const struct done_set *skip; /* rows with these indexes are left out; borrowed; NULL: none */
    struct item_lists lists;
    bool has_records;
    struct record_source records; /* makes the items from the descriptor or the lists */
    bool has_blocks;
    struct block_source blocks; /* cuts the bytes of the descriptor into blocks, which are the items */
    uint64_t block_index;       /* of the next block */
    bool blocks_ended;
    int ready_fd;                     /* with records and blocks, a descriptor that is always readable */
    struct buf texts[ITEM_LISTS_MAX]; /* the bytes of the lists that came from files */
    struct buf lines;                 /* lines of items, of which `used` bytes were read */
    size_t used;
};

/* Closes the descriptor if the source owns it. */
void input_source_release(struct input_source *s);
/* Returns the descriptor to poll for input; -1: none, until input_source_free_block() makes a place free. */
int input_source_poll_fd(const struct input_source *s);
/* Returns a text that says what is wrong with the input and where; NULL: nothing is wrong. The input ends at the fault.
 */
const char *input_source_fault(const struct input_source *s);
/* Returns whether the items of each read should be sent at once, without waiting for more items. */
bool input_source_is_eager(const struct input_source *s);
/* Returns how far the input was read for the items so far, in bytes. Only for a source with records or blocks. */
uint64_t input_source_bytes(const struct input_source *s);
/* Call it when the item with this row has its answer, and its block is no longer needed. */
void input_source_free_block(struct input_source *s, struct json_slice row);
/* Returns the values of a row in the form that the user sees. The result is a part of the row, or is in *out. */
struct json_slice input_source_shown(const struct input_source *s, struct json_slice row, struct buf *out);
/* Like read(). */
ssize_t input_source_read(struct input_source *s, char *data, size_t max);

#endif
