/*
 * Reads the values of one JSON array, each as a record with one value. The bytes come in pieces, which may end
 * anywhere, and the array may have any length. Finds only where the values begin and end: the caller checks each value.
 * Pure.
 */
#ifndef FANTAIL_CLI_RECORDS_ARRAY_READER_H
#define FANTAIL_CLI_RECORDS_ARRAY_READER_H

#include "cli/records/csv_reader.h"

enum array_state {
    ARRAY_BEFORE, /* before the opening bracket */
    ARRAY_FIRST,  /* in the first value, or before it */
    ARRAY_VALUE,  /* in a later value, or before it */
    ARRAY_ENDED,  /* after the closing bracket */
};

/* A zeroed struct is a reader at the start of the input. */
struct array_reader {
    enum array_state state;
    bool in_string, escaped;
    unsigned depth;      /* of the arrays and objects in the value */
    struct buf value;    /* the part of the value that has come, without white space at its start */
    uint64_t newlines;   /* read so far */
    uint64_t first_line; /* of the value, counted from 1 */
};

void array_reader_release(struct array_reader *a);
/* Reads bytes up to the end of a value, and appends the value to *r. Moves *data past these bytes, and reduces *len.
 * After RECORD_FAULT, *why is a static sentence. */
enum record_step array_reader_read(struct array_reader *a, const char **data, size_t *len, struct input_record *r,
                                   const char **why);
/* Call it after the last byte. Returns RECORD_MORE if the array is complete or the input has only white space, and
 * otherwise RECORD_FAULT. */
enum record_step array_reader_end(struct array_reader *a, const char **why);

#endif
