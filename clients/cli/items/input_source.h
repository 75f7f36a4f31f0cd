/*
 * Where the items of a run come from: a file descriptor, or lists of values. The combinations of the lists are made
 * while they are read. Every source is read as bytes. The bytes of lists are lines of JSON.
 */
#ifndef FANTAIL_CLI_ITEMS_INPUT_SOURCE_H
#define FANTAIL_CLI_ITEMS_INPUT_SOURCE_H

#include <sys/types.h>

#include "cli/items/item_lists.h"

struct input_source {
    int fd;       /* poll it for input, also with lists: it is then always readable */
    bool owns_fd; /* input_source_release() closes it */
    bool has_lists;
    bool raw;                    /* the items are any bytes, which become strings of common/json/byte_text.h */
    const struct done_set *skip; /* rows with these indexes are left out; borrowed; NULL: none */
    struct item_lists lists;
    struct buf texts[ITEM_LISTS_MAX]; /* the bytes of the lists that came from files */
    struct buf lines;                 /* lines of items, of which `used` bytes were read */
    size_t used;
};

/* Closes the descriptor if the source owns it. */
void input_source_release(struct input_source *s);
/* Like read(). */
ssize_t input_source_read(struct input_source *s, char *data, size_t max);

#endif
