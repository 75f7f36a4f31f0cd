/*
 * Scans the value of an answer line while the line comes: V of {"value":V}. A value may have LIMIT_ANSWER_BYTES. If it
 * were scanned when its line is whole, nobody else would be answered meanwhile. A pure module. A zeroed scan is idle.
 */
#ifndef FANTAIL_PROTOCOL_VALUE_SCAN_H
#define FANTAIL_PROTOCOL_VALUE_SCAN_H

#include "common/json/json_scan.h"

/* A line that is no plain value is not scanned as it comes, so it may have only this many bytes. */
#define LIMIT_OTHER_LINE_BYTES (1 * MIB)

enum value_scan_state {
    VALUE_SCAN_IDLE,   /* it is not known yet whether the line has a value */
    VALUE_SCAN_INSIDE, /* the value goes on */
    VALUE_SCAN_WHOLE,  /* the value has ended */
    VALUE_SCAN_BAD,    /* the value is not valid JSON, so the line is no answer */
};

struct value_scan {
    enum value_scan_state state;
    size_t begin, end; /* where the value begins and ends in the line; end: how far it was scanned */
    struct json_scan json;
};

/* The value begins at line[begin], or after white space there. */
void value_scan_begin(struct value_scan *v, size_t begin);
/* Scans what has come since the last call. `line` has len bytes until now, without a newline. */
void value_scan_feed(struct value_scan *v, const char *line, size_t len);
/* Call it when the line is whole, for a scan that has begun. Returns true if the line is a value and then `close`, with
 * white space around them. Sets *body and *body_len to the value, which is borrowed from the line. */
MUST_CHECK bool value_scan_finish(struct value_scan *v, const char *line, size_t len, const char *close,
                                  const char **body, size_t *body_len);

#endif
