#include "common/observe/utc_time.h"

#include <time.h>

int64_t utc_time_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void utc_time_write(struct buf *out, int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    char text[sizeof "2026-11-29T03:00:00" + 16];
    gmtime_r(&seconds, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    buf_addf(out, "%s.%03dZ", text, (int)(ms % 1000));
}

/* Reads exactly `digits` digits. On a fault, `*at` becomes NULL. */
static int read_number(const char **at, int digits, int low, int high)
{
    int n = 0;
    if (!*at) return 0;
    for (int i = 0; i < digits; i++) {
        char c = (*at)[i];
        if (c < '0' || c > '9') {
            *at = NULL;
            return 0;
        }
        n = 10 * n + (c - '0');
    }
    *at = n < low || n > high ? NULL : *at + digits;
    return n;
}

static void skip_one_of(const char **at, const char *chars)
{
    if (*at) *at = **at && strchr(chars, **at) ? *at + 1 : NULL;
}

static int days_of(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* Reads ".5" as 500. Returns 0 if there is no fraction. */
static int read_milliseconds(const char **at)
{
    int ms = 0, weight = 100;
    if (!*at || **at != '.') return 0;
    ++*at;
    if (**at < '0' || **at > '9') *at = NULL;
    for (; *at && **at >= '0' && **at <= '9'; ++*at, weight /= 10) ms += weight * (**at - '0');
    return ms;
}

/* Returns the offset in minutes. */
static int read_offset(const char **at)
{
    if (!*at) return 0;
    char sign = **at;
    skip_one_of(at, "Zz+- ");
    if (!*at || sign == 'Z' || sign == 'z') return 0;
    int minutes = 60 * read_number(at, 2, 0, 23);
    skip_one_of(at, ":");
    minutes += read_number(at, 2, 0, 59);
    return sign == '-' ? -minutes : minutes;
}

bool utc_time_parse(const char *text, int64_t *ms)
{
    const char *at = text;
    struct tm tm = {0};
    int millis = 0, offset = 0;
    tm.tm_year = read_number(&at, 4, 0, 9999) - 1900;
    skip_one_of(&at, "-");
    tm.tm_mon = read_number(&at, 2, 1, 12) - 1;
    skip_one_of(&at, "-");
    if (at) tm.tm_mday = read_number(&at, 2, 1, days_of(tm.tm_year + 1900, tm.tm_mon + 1));
    if (at && *at) {
        skip_one_of(&at, "Tt ");
        tm.tm_hour = read_number(&at, 2, 0, 23);
        skip_one_of(&at, ":");
        tm.tm_min = read_number(&at, 2, 0, 59);
        skip_one_of(&at, ":");
        tm.tm_sec = read_number(&at, 2, 0, 60);
        millis = read_milliseconds(&at);
        offset = read_offset(&at);
    }
    if (!at || *at) return false;
    *ms = ((int64_t)timegm(&tm) - 60 * (int64_t)offset) * 1000 + millis;
    return true;
}
