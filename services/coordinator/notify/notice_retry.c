#include "coordinator/notify/notice_retry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAUSE_MAX_S (7 * 86400.0)

enum notice_result notice_judge(int status)
{
    if (status >= 200 && status < 300) return NOTICE_DELIVERED;
    return status == 410 ? NOTICE_GONE : NOTICE_FAILED;
}

bool notice_pauses_parse(struct notice_pauses *p, const char *text, char *err, size_t err_size)
{
    *p = (struct notice_pauses){0};
    for (const char *at = text; *at;) {
        char *end;
        double s = strtod(at, &end);
        bool is_decimal = end != at && strspn(at, "0123456789.") == (size_t)(end - at);
        bool ok = is_decimal && (*end == ',' || !*end) && s >= 0 && s <= PAUSE_MAX_S && p->n < NOTICE_PAUSES_MAX;
        if (!ok) {
            snprintf(err, err_size, "give at most %d numbers of seconds, separated by commas, each at most %.0f",
                     NOTICE_PAUSES_MAX, PAUSE_MAX_S);
            return false;
        }
        p->s[p->n++] = s;
        at = *end ? end + 1 : end;
    }
    return true;
}

int64_t notice_pause_ms(const struct notice_pauses *p, unsigned attempt, double jitter)
{
    if (attempt == 0 || attempt > p->n) return -1;
    return (int64_t)(p->s[attempt - 1] * 1e3 * (1 + jitter / 5));
}
