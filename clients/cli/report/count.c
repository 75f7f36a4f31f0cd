#include "cli/report/count.h"

#include <inttypes.h>

void count_add(struct buf *text, uint64_t n)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, n);
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) buf_add_char(text, ',');
        buf_add_char(text, digits[i]);
    }
}

void count_add_duration(struct buf *text, double seconds)
{
    unsigned long s = (unsigned long)(seconds + 0.5);
    if (s >= 3600)
        buf_addf(text, "%lu:%02lu:%02lu", s / 3600, s / 60 % 60, s % 60);
    else
        buf_addf(text, "%lu:%02lu", s / 60, s % 60);
}

void count_add_run_time(struct buf *text, double seconds)
{
    if (seconds < 9.95)
        buf_addf(text, "%.1f s", seconds);
    else
        count_add_duration(text, seconds);
}
