/*
 * Detects the encoding of a text from its first bytes. Everything that fantail reads must be UTF-8. A byte order mark
 * at the beginning is not a part of the text. This module also recognises UTF-16 and UTF-32, so that the error can name
 * the encoding of a refused text. UTF-16 and UTF-32 are recognised by their byte order mark. Without a byte order mark,
 * they are recognised by the zero bytes in the first character, if that character is ASCII. Pure.
 */
#ifndef FANTAIL_COMMON_JSON_ENCODING_H
#define FANTAIL_COMMON_JSON_ENCODING_H

#include "common/base/base.h"

#define ENCODING_BYTES 4 /* number of bytes at the start that determine the encoding */
#define UTF8_MARK      "\xEF\xBB\xBF"

enum encoding {
    ENCODING_UTF8,
    ENCODING_UTF8_MARKED,
    ENCODING_UTF16_LE,
    ENCODING_UTF16_BE,
    ENCODING_UTF32_LE,
    ENCODING_UTF32_BE,
    ENCODING_COUNT
};

/* Returns whether more bytes are needed to determine the encoding. Returns false as soon as the bytes can only be UTF-8
 * without a byte order mark, so that a short first line is not delayed. */
bool encoding_needs_more(const char *data, size_t len);
/* `data` may be NULL if `len` is 0. */
enum encoding encoding_of(const char *data, size_t len);
/* Returns a name such as "UTF-16 (little endian)". */
const char *encoding_name(enum encoding e);
/* Returns a sentence without its full stop, such as "this is UTF-16 (little endian), but UTF-8 is expected". Returns
 * NULL for UTF-8. */
const char *encoding_fault(enum encoding e);
/* Returns whether the encoding is UTF-16 or UTF-32. */
bool encoding_is_wide(enum encoding e);
/* Returns the length of the byte order mark for ENCODING_UTF8_MARKED, and 0 for all other encodings. The mark is not a
 * part of the text. */
size_t encoding_mark_bytes(enum encoding e);
/* Returns the length of the longest prefix of `data` that is text: valid UTF-8 without a NUL byte. `data` may be NULL
 * if `len` is 0. */
size_t encoding_text_length(const char *data, size_t len);
/* Ends the string before its first byte that is not valid UTF-8. Call it after the string has been cut to the size of a
 * buffer, because the cut may have split a character. */
void encoding_drop_cut(char *text);
/* Returns whether `data` begins with the byte order mark of UTF-8. */
bool has_utf8_mark(const char *data, size_t len);

#endif
