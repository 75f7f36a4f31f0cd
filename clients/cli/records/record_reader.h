/*
 * Cuts the bytes of the input into records: lines, texts that end with a NUL byte, CSV, or the values of one JSON
 * array. (record_reader_cut() is not for JSON arrays.) With a separator, a line or a text has one value for each
 * column; without a separator, it has one value. Pure.
 *
 * The bytes are UTF-8, unless `raw` is set. A record has at most LIMIT_ITEM_BYTES bytes and RECORD_VALUES_MAX values.
 */
#ifndef FANTAIL_CLI_RECORDS_RECORD_READER_H
#define FANTAIL_CLI_RECORDS_RECORD_READER_H

#include "cli/records/array_reader.h"
#include "cli/records/csv_reader.h"
#include "cli/records/separator.h"

enum record_form { RECORD_LINES, RECORD_NULLS, RECORD_CSV, RECORD_ARRAY };

struct record_reader {
    enum record_form form;
    bool raw;                          /* the records are any bytes */
    char delimiter;                    /* ends each record of RECORD_NULLS */
    bool trims_left, trims_right;      /* without a separator: white space at the ends of the value is left out */
    bool skip_blank;                   /* a line of the input with only white space is no record */
    const struct separator *separator; /* not for CSV; borrowed; NULL: none */
    struct csv_reader csv;             /* the caller sets its separator */
    struct array_reader array;
    struct input_record record; /* the last one, valid until the next call */
    struct buf line;            /* the beginning of a line */
    bool is_read;               /* `record` is complete */
    uint64_t lines;             /* lines or texts read so far, without those of CSV */
    /* The number of the line where `record` begins, counted from 1. For RECORD_NULLS, the number of the text. After a
     * fault in CSV, the number of the line that has the fault. */
    uint64_t number;
    char why[256]; /* after RECORD_FAULT: what is wrong with the record, without its place */
};

void record_reader_release(struct record_reader *r);
/* Reads bytes up to the end of a record. Moves *data past these bytes, and reduces *len. */
enum record_step record_reader_read(struct record_reader *r, const char **data, size_t *len);
/* Call it after the last byte. If the last record has no end yet, ends this record and returns RECORD_WHOLE or
 * RECORD_FAULT. Otherwise returns RECORD_MORE. */
enum record_step record_reader_end(struct record_reader *r);
/* Reads a record from the whole text of a value, instead of from the input. Never returns RECORD_MORE. */
enum record_step record_reader_cut(struct record_reader *r, const char *text, size_t len);
/* Sets r->why. Returns RECORD_FAULT. */
enum record_step record_reader_fail(struct record_reader *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
