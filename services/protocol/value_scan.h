/*
 * Scans the value of an answer line, V of {"value":V}, while the line arrives. A value may have up to
 * LIMIT_ANSWER_BYTES bytes. If a long value were scanned only when its line is complete, the scan would block the loop.
 * A pure module. A zeroed scan is idle.
 */
#ifndef FANTAIL_PROTOCOL_VALUE_SCAN_H
#define FANTAIL_PROTOCOL_VALUE_SCAN_H

#include "common/json/json_scan.h"

/* A line that does not have the form {"value":V} is not scanned while it arrives, so it may have at most this many
 * bytes. */
#define LIMIT_OTHER_LINE_BYTES (1 * MIB)

enum value_scan_state {
    VALUE_SCAN_IDLE,   /* it is unknown yet whether the line has a value */
    VALUE_SCAN_INSIDE, /* the value has not ended */
    VALUE_SCAN_WHOLE,  /* the value has ended */
    VALUE_SCAN_BAD,    /* the value is not valid JSON, so the line is not an answer */
};

struct value_scan {
    enum value_scan_state state;
    size_t begin, end; /* the position of the value in the line; until the value ends, `end` is how far it is scanned */
    size_t after;      /* in VALUE_SCAN_WHOLE: all bytes from `end` to `after` are white space */
    struct json_scan json;
};

/* Begins a scan. The value begins at line[begin], or after white space at this position. */
void value_scan_begin(struct value_scan *v, size_t begin);
/* Scans the bytes that have arrived since the last call. `line` has len bytes so far, without a newline. */
void value_scan_feed(struct value_scan *v, const char *line, size_t len);
/* Call it when the line is complete, if value_scan_begin() was called for it. Returns true if the value is valid and
 * only `close` follows it, with optional white space. Sets *body and *body_len to the value, which is borrowed from the
 * line. */
MUST_CHECK bool value_scan_finish(struct value_scan *v, const char *line, size_t len, const char *close,
                                  const char **body, size_t *body_len);

#endif
