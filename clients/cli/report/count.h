/* Numbers and durations in messages. Pure. */
#ifndef FANTAIL_CLI_REPORT_COUNT_H
#define FANTAIL_CLI_REPORT_COUNT_H

#include "common/base/base.h"
#include "common/base/buf.h"

/* Appends a number with commas: 1,234,567. */
void count_add(struct buf *text, uint64_t n);
/* Appends a duration: 0:07 or 1:00:07. */
void count_add_duration(struct buf *text, double seconds);
/* Appends the duration of a run. Below 10 s the text has tenths, such as 0.4 s; otherwise the text is that of
 * count_add_duration(). */
void count_add_run_time(struct buf *text, double seconds);

#endif
