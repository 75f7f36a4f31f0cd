/* UUIDv7 (RFC 9562, section 5.7). UUIDs of this version sort by creation time. */
#ifndef FANTAIL_COMMON_OBSERVE_UUID_H
#define FANTAIL_COMMON_OBSERVE_UUID_H

#include "common/base/base.h"

#define UUID_TEXT_SIZE 37 /* including its NUL */

/* Writes an id. unix_ms is the time in milliseconds since 1970; `random` has 10 bytes. Pure. */
void uuid7_format(uint64_t unix_ms, const uint8_t random[10], char out[UUID_TEXT_SIZE]);
/* Makes a new id from the real clock and getrandom(2). */
void uuid7_new(char out[UUID_TEXT_SIZE]);
/* Returns whether the text is an id as uuid7_format() writes it, in lower case. Pure. */
bool uuid7_is_valid(const char *text);

#endif
