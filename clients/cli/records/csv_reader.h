/*
 * Reads CSV as RFC 4180 describes it. A value in quotes may contain separators, newlines and doubled quotes. A record
 * ends with LF or CRLF. Empty lines are left out. There are three faults: a quote within a value that is not in quotes,
 * text after the closing quote, and an end of the input within quotes. Pure.
 */
#ifndef FANTAIL_CLI_RECORDS_CSV_READER_H
#define FANTAIL_CLI_RECORDS_CSV_READER_H

#include "cli/records/record.h"

enum csv_state {
    CSV_RECORD_START,
    CSV_VALUE_START, /* after a separator */
    CSV_PLAIN,       /* in a value without quotes */
    CSV_QUOTED,      /* in a value with quotes */
    CSV_QUOTE,       /* after a quote in such a value: it is the first of two, or the closing one */
    CSV_RETURN,      /* after a carriage return that follows the closing quote */
};

struct csv_reader {
    char separator;
    enum csv_state state;
    bool has_quotes;     /* a value of the record has quotes */
    uint64_t newlines;   /* read so far */
    uint64_t first_line; /* of the record, counted from 1 */
    uint64_t quote_line; /* of the last opening quote */
};

enum record_step {
    RECORD_MORE,  /* all bytes are read, and more are needed */
    RECORD_WHOLE, /* the record is complete */
    RECORD_FAULT, /* the reader must not be used any more */
};

/* Reads bytes up to the end of the record, and appends the values of the record to *r. Moves *data past these bytes,
 * and reduces *len. After RECORD_FAULT, *why is a static sentence. */
enum record_step csv_reader_read(struct csv_reader *c, const char **data, size_t *len, struct input_record *r,
                                 const char **why);
/* Call it after the last byte. If the last record has no end yet, ends this record and returns RECORD_WHOLE or
 * RECORD_FAULT. Otherwise returns RECORD_MORE. */
enum record_step csv_reader_end(struct csv_reader *c, struct input_record *r, const char **why);

#endif
