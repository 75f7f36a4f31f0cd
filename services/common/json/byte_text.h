/*
 * Writes any bytes as a JSON string, and reads them back. A byte with the value N becomes the character with the code
 * point N. So bytes that are not UTF-8 can pass through JSON. Pure.
 */
#ifndef FANTAIL_COMMON_JSON_BYTE_TEXT_H
#define FANTAIL_COMMON_JSON_BYTE_TEXT_H

#include "common/base/buf.h"

/* The largest number of bytes that byte_text_write() writes for one byte. */
#define BYTE_TEXT_GROWTH 6

/* Writes the bytes as the content of a JSON string, without quotes. Returns the end of what was written. */
char *byte_text_write(char *to, const char *data, size_t len);
/* Appends the bytes as a JSON string. Returns false if the string would exceed the cap of the buffer. */
MUST_CHECK bool byte_text_add(struct buf *json, const char *data, size_t len);
/* `text` is the decoded string, in UTF-8. Converts the string back to the bytes, in place. Returns the number of bytes;
 * SIZE_MAX if a character of the text does not stand for a byte. */
MUST_CHECK size_t byte_text_to_bytes(char *text, size_t len);

#endif
