/*
 * An incremental, strict RFC 8259 scanner. The scanner validates bytes as they arrive, in pieces of any size, and finds
 * where a value ends. The scanner builds no tree and copies nothing. The scanner also rejects invalid UTF-8 (RFC 3629:
 * no overlong forms, no encoded surrogates) and unescaped control characters. The scanner does not check number ranges,
 * duplicate names or lone \u surrogates. A pure module: no I/O, no allocation.
 */
#ifndef FANTAIL_COMMON_JSON_JSON_SCAN_H
#define FANTAIL_COMMON_JSON_JSON_SCAN_H

#include "common/base/base.h"
#include "common/base/limits.h"

enum json_scan_status {
    JSON_SCAN_MORE, /* all bytes are consumed, and the value is not complete yet */
    /* A value ended after *used bytes. A number at top level ends only with json_scan_finish(), or at a byte that does
     * not belong to the number. The scanner does not consume the byte after a number. */
    JSON_SCAN_WHOLE,
    JSON_SCAN_ERROR, /* s->error is the reason; *used is the offset of the wrong byte in this piece */
};

struct json_scan {
    uint8_t state; /* private: enum json_state */
    /* The number of bytes that the current character still needs, and the range of the next byte. */
    uint8_t utf8_left, utf8_low, utf8_high;
    uint8_t literal_pos;
    uint8_t after_string; /* the state after the current string */
    const char *literal;
    unsigned depth, max_depth;
    uint64_t is_object[(LIMIT_JSON_DEPTH + 63) / 64]; /* bit d: the container at depth d is an object */
    const char *error;                                /* a static phrase: "a comma or ] was expected" */
};

/* Prepares s for one value. Call it again for each further value. max_depth is at most LIMIT_JSON_DEPTH.
 * json_scan_init() is cheap, because it does not clear the depth bits. */
void json_scan_init(struct json_scan *s, unsigned max_depth);
/* Skips leading white space, and reads up to the end of one value. Always sets *used. */
MUST_CHECK enum json_scan_status json_scan_feed(struct json_scan *s, const char *data, size_t len, size_t *used);
/* Call it when all bytes have been fed. Returns JSON_SCAN_WHOLE or JSON_SCAN_ERROR. */
MUST_CHECK enum json_scan_status json_scan_finish(struct json_scan *s);

/* Returns true if `data` is one complete value, with optional white space around it. If `data` is not such a value,
 * sets *offset to the position of the fault and *error to the reason. The function is fast for short lines. */
MUST_CHECK bool json_valid(const char *data, size_t len, size_t *offset, const char **error);
/* Returns the length of the valid value at the start of `data`. Returns 0 if there is no valid value there, or if
 * `data` begins with white space. */
size_t json_value_length(const char *data, size_t len);
/* Returns the length of the longest prefix of `data` that can be put into a JSON string unchanged. The byte after this
 * prefix is a quote, a backslash, a control character, or the start of a character that is not valid UTF-8 or is cut
 * off. */
size_t json_text_length(const char *data, size_t len);

#endif
