/*
 * Reads small JSON texts in place: one level at a time, as slices of the text, without a tree. Numbers keep all their
 * digits; a tree of doubles would lose some. Each level is scanned again, so use this module for options and envelopes,
 * not for deep or large documents. A pure module.
 */
#ifndef FANTAIL_COMMON_JSON_JSON_WALK_H
#define FANTAIL_COMMON_JSON_JSON_WALK_H

#include "common/base/base.h"
#include "common/base/buf.h"

struct json_slice {
    const char *data;
    size_t len;
};

struct json_walk {
    const char *at, *end;
};

/* The text must be valid (json_valid()). Returns false when the value is neither an object nor an array. */
MUST_CHECK bool json_walk_init(struct json_walk *w, const char *text, size_t len);
/* Like json_walk_init(), for a text that may be invalid. If the text is invalid, json_walk_init_checked() returns false
 * too. */
MUST_CHECK bool json_walk_init_checked(struct json_walk *w, const char *text, size_t len);
/* Reads the next member or element; returns false after the last one. *name is the JSON string with its quotes, as it
 * was written. For an element of an array *name is empty. `name` and `value` may be NULL. */
MUST_CHECK bool json_walk_next(struct json_walk *w, struct json_slice *name, struct json_slice *value);

/* Appends the decoded text of a valid JSON string, as UTF-8. A lone surrogate becomes U+FFFD, and \u0000 becomes a NUL
 * byte. Returns false when the slice is not a string or the buffer is full. */
MUST_CHECK bool json_string_decode(struct json_slice string, struct buf *out);
/* Returns whether the JSON string decodes to exactly `text`. */
bool json_string_is(struct json_slice string, const char *text);

#endif
