/* Converts between RFC 3339 texts, such as "2026-11-29T03:00:00.000Z", and milliseconds since 1970 in UTC, without leap
 * seconds. Pure, except for utc_time_now(). */
#ifndef FANTAIL_COMMON_OBSERVE_UTC_TIME_H
#define FANTAIL_COMMON_OBSERVE_UTC_TIME_H

#include "common/base/buf.h"

/* Returns the time of the wall clock. Pure modules get the time as an argument. */
int64_t utc_time_now(void);
/* Appends the time with its milliseconds, without quotes. */
void utc_time_write(struct buf *out, int64_t ms);
/* Reads a time of RFC 3339 with any offset. Also reads a date without a time, which stands for the first millisecond of
 * that day in UTC. Digits after the milliseconds are ignored. The '+' of an offset may also be a space, because a '+'
 * in a URL's query is decoded to a space. A time before 1970 is negative. Returns false if the text is neither a time
 * nor a date. */
MUST_CHECK bool utc_time_parse(const char *text, int64_t *ms);

#endif
