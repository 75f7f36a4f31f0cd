/*
 * Reads the items of a run as records (record_reader.h): lines with columns, CSV, or lines that are put together into
 * one item. Gives the items as lines of JSON (item_maker.h). The records come from a file descriptor or from lists.
 */
#ifndef FANTAIL_CLI_ITEMS_RECORD_SOURCE_H
#define FANTAIL_CLI_ITEMS_RECORD_SOURCE_H

#include <sys/types.h>

#include "cli/items/item_lists.h"
#include "cli/items/item_maker.h"
#include "cli/records/record_reader.h"

/* What the options say about records. */
struct record_plan {
    const char *separator;        /* of columns, see separator.h; NULL: no columns, or with CSV a comma */
    bool trims_left, trims_right; /* white space at the ends of values is left out */
    bool skip_blank;              /* a line with only white space is no record */
    const char *end;              /* the input ends before this line; NULL: there is no such line */
    bool csv;
    bool array; /* the input is one JSON array, and each of its values is a record */
    bool nulls; /* records end with NUL bytes, or with `delimiter` */
    char delimiter;
    bool header; /* the first record has the names of the columns */
    bool rows;   /* the items are for a command */
    enum item_values values;
    size_t group_max, length_max, shares; /* see item_maker.h */
};

/* A zeroed struct can be released. The struct must not be moved. */
struct record_source {
    struct record_reader reader;
    struct separator separator;
    struct header_names names;
    struct item_maker maker;
    const char *end;              /* the input ends before this line; NULL: there is no such line */
    struct input_record combined; /* one combination of the lists */
    bool begun;                   /* the encoding is known */
    bool ended;                   /* the descriptor has no more bytes */
    bool finished;                /* all items were made, or there was a fault */
    struct buf raw;               /* bytes of the input, of which `raw_used` bytes became records */
    size_t raw_used;
    struct buf lines; /* lines of items, of which `used` bytes were given to the caller */
    size_t used;
    uint64_t bytes;  /* read from the descriptor */
    char fault[320]; /* a sentence with the number of the line; empty: none */
};

/* Returns false with a sentence in `err` if the separator is wrong. */
MUST_CHECK bool record_source_init(struct record_source *s, const struct record_plan *p, char *err, size_t err_size);
void record_source_release(struct record_source *s);
/* Reads the names of the columns from the first record. Blocks. Returns false after a fault. Also returns false if
 * read() has failed; `fault` is then empty, and errno is set. */
MUST_CHECK bool record_source_read_header(struct record_source *s, int fd);
/* Like record_source_read_header(), but for lists: the first value of each list has the names. Does not block. */
MUST_CHECK bool record_source_take_header(struct record_source *s, struct item_lists *lists);
/* Like read(), but the result is lines of items. If the bytes are not yet a whole item, fails with EAGAIN. After a
 * fault the input ends. If `lists` is NULL, the records come from the descriptor. */
ssize_t record_source_read(struct record_source *s, int fd, struct item_lists *lists, char *data, size_t max);
/* Returns whether record_source_read() can go on without reading more bytes from the descriptor. */
bool record_source_has_more(const struct record_source *s);

#endif
