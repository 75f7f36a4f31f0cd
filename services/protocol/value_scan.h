/*
 * Scans the value of an answer line while the line arrives: V of {"value":V}. A value may have LIMIT_ANSWER_BYTES.
 * Scanning such a value only at the end of its line would block the loop. A pure module. A zeroed scan is idle.
 */
#ifndef FANTAIL_PROTOCOL_VALUE_SCAN_H
#define FANTAIL_PROTOCOL_VALUE_SCAN_H

#include "common/json/json_scan.h"

/* A line in another form than {"value":V} is not scanned while it arrives, so it may have only this many bytes. */
#define LIMIT_OTHER_LINE_BYTES (1 * MIB)

enum value_scan_state {
    VALUE_SCAN_IDLE,   /* it is not known yet whether the line has a value */
    VALUE_SCAN_INSIDE, /* the value has not ended */
    VALUE_SCAN_WHOLE,  /* the value has ended */
    VALUE_SCAN_BAD,    /* the value is not valid JSON, so the line is not an answer */
};

struct value_scan {
    enum value_scan_state state;
    size_t begin, end; /* the value's place in the line; before its end, `end` is how far it was scanned */
    size_t after;      /* in VALUE_SCAN_WHOLE: there is only white space from `end` up to here */
    struct json_scan json;
};

/* The value begins at line[begin], or after white space there. */
void value_scan_begin(struct value_scan *v, size_t begin);
/* Scans the bytes that have arrived since the last call. `line` has len bytes so far, without a newline. */
void value_scan_feed(struct value_scan *v, const char *line, size_t len);
/* Call it when the line is whole, for a scan that has begun. Returns true if the value is valid and only `close`
 * follows it, with optional white space. Sets *body and *body_len to the value, which is borrowed from the line. */
MUST_CHECK bool value_scan_finish(struct value_scan *v, const char *line, size_t len, const char *close,
                                  const char **body, size_t *body_len);

#endif
