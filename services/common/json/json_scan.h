/*
 * An incremental, strict RFC 8259 scanner. It validates bytes as they come, in pieces of any size, and says where a
 * value ends; it never builds a tree and never copies. Strict also on UTF-8 (RFC 3629: no overlong forms, no encoded
 * surrogates) and control characters. It does not judge number ranges, duplicate names or lone \u surrogates. A pure
 * module: no I/O, no allocation.
 */
#ifndef FANTAIL_COMMON_JSON_JSON_SCAN_H
#define FANTAIL_COMMON_JSON_JSON_SCAN_H

#include "common/base/base.h"
#include "common/base/limits.h"

enum json_scan_status {
    JSON_SCAN_MORE,  /* all bytes taken, the value is not whole yet */
    JSON_SCAN_WHOLE, /* a value ended; *used tells where. A number at top level ends only by the byte behind it
                      * (not taken) or by json_scan_finish() */
    JSON_SCAN_ERROR, /* s->error says why; *used is the offset of the offending byte in this piece */
};

struct json_scan {
    uint8_t state;                          /* private: enum json_state */
    uint8_t utf8_left, utf8_low, utf8_high; /* what the running multi-byte character still needs */
    uint8_t literal_pos;
    uint8_t after_string; /* the state behind the string being read */
    const char *literal;
    unsigned depth, max_depth;
    uint64_t is_object[(LIMIT_JSON_DEPTH + 63) / 64]; /* bit d: the container at depth d is an object */
    const char *error;                                /* a static phrase: "a comma or ] was expected" */
};

/* Ready for one value. max_depth is at most LIMIT_JSON_DEPTH. Also resets. Cheap: does not clear the depth bits. */
void json_scan_init(struct json_scan *s, unsigned max_depth);
/* Takes bytes up to the end of one value (leading white space is skipped). *used is always set. */
MUST_CHECK enum json_scan_status json_scan_feed(struct json_scan *s, const char *data, size_t len, size_t *used);
/* No more bytes will come: JSON_SCAN_WHOLE or JSON_SCAN_ERROR. */
MUST_CHECK enum json_scan_status json_scan_finish(struct json_scan *s);

/* One whole value, with optional white space around it, is all of data. On failure *offset is the place of the fault
 * and *error the phrase. The fast path of everything that reads lines. */
MUST_CHECK bool json_valid(const char *data, size_t len, size_t *offset, const char **error);
/* The length of the valid value that data starts with (no leading white space); 0 when there is none. */
size_t json_value_length(const char *data, size_t len);
/* How much of data can stand in a JSON string as it is. The byte behind it is a quote, a backslash, a control
 * character, or at least 0x80 where the text is not UTF-8 or a character is cut off. */
size_t json_text_length(const char *data, size_t len);

#endif
