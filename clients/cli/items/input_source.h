/*
 * Where the items of a run come from: a file descriptor, or lists of values. The combinations of the lists are not
 * stored: each one is made when it is read. Every source is read as bytes. The bytes of lists and of records are lines
 * of JSON.
 */
#ifndef FANTAIL_CLI_ITEMS_INPUT_SOURCE_H
#define FANTAIL_CLI_ITEMS_INPUT_SOURCE_H

#include <sys/types.h>

#include "cli/items/item_lists.h"
#include "cli/items/record_source.h"

struct input_source {
    int fd;       /* with lists, a descriptor that is always readable */
    bool owns_fd; /* input_source_release() closes it */
    bool has_lists;
    char delimiter;              /* ends each item of the descriptor, and is read as a NUL byte; 0: none */
    bool raw;                    /* the items are any bytes, which become strings of common/json/byte_text.h */
    const struct done_set *skip; /* rows with these indexes are left out; borrowed; NULL: none */
    struct item_lists lists;
    bool has_records;
    struct record_source records;     /* makes the items from the descriptor or the lists */
    int ready_fd;                     /* with records, a descriptor that is always readable */
    struct buf texts[ITEM_LISTS_MAX]; /* the bytes of the lists that came from files */
    struct buf lines;                 /* lines of items, of which `used` bytes were read */
    size_t used;
};

/* Closes the descriptor if the source owns it. */
void input_source_release(struct input_source *s);
/* Returns the descriptor to poll for input. */
int input_source_poll_fd(const struct input_source *s);
/* Returns whether an item may have several values. */
bool input_source_has_several(const struct input_source *s);
/* Returns what is wrong with the input, with the place of the fault. The input has ended there. NULL: nothing. */
const char *input_source_fault(const struct input_source *s);
/* Like read(). */
ssize_t input_source_read(struct input_source *s, char *data, size_t max);

#endif
