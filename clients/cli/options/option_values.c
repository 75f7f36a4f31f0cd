#include "cli/options/option_values.h"

#include <math.h>

#include "common/base/limits.h"
#include "protocol/protocol.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads a decimal number from 0 on. Returns its end; NULL if there is none. */
static const char *read_number(const char *text, double *number)
{
    char *end;
    if (!is_digit(*text) && !(*text == '.' && is_digit(text[1]))) return NULL;
    if (text[strcspn(text, "xX")]) return NULL; /* strtod() also reads hexadecimal numbers */
    *number = strtod(text, &end);
    return *number < 1e15 ? end : NULL;
}

bool option_read_duration(const char *text, double *out)
{
    static const struct {
        const char *unit;
        double seconds;
    } units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    double number;
    const char *end = read_number(text, &number);
    for (size_t i = 0; end && i < ARRAY_SIZE(units); i++) {
        if (strcmp(end, units[i].unit) != 0) continue;
        double seconds = number * units[i].seconds;
        if (!(seconds <= LIMIT_TIME_S)) return false;
        *out = seconds;
        return true;
    }
    return false;
}

bool option_read_jobs(const char *text, unsigned processors, unsigned max, unsigned *out)
{
    char *end, sign = *text == '+' || *text == '-' ? *text : '\0';
    const char *digits = text + (sign != '\0');
    if (!is_digit(*digits)) return false;
    double n = (double)strtoull(digits, &end, 10);
    bool percent = strcmp(end, "%") == 0;
    if ((*end && !percent) || (percent && sign)) return false;
    if (percent) n = floor(n / 100 * processors);
    if (sign == '+') n = processors + n;
    if (sign == '-') n = processors - n;
    if (!percent && !sign && n == 0) n = OPTION_JOBS_ALL;
    if (n > max) return false;
    *out = n < 1 ? 1 : (unsigned)n;
    return true;
}

bool option_read_percent(const char *text, double *out)
{
    double number;
    const char *end = read_number(text, &number);
    if (!end || strcmp(end, "%") != 0 || number <= 0) return false;
    *out = number;
    return true;
}

bool option_read_rate(const char *text, double *spacing_s)
{
    static const struct {
        const char *unit;
        double seconds;
    } units[] = {{"", 1}, {"/s", 1}, {"/m", 60}, {"/h", 3600}};
    double number;
    const char *end = read_number(text, &number);
    for (size_t i = 0; end && i < ARRAY_SIZE(units); i++) {
        if (strcmp(end, units[i].unit) != 0) continue;
        if (number <= 0 || units[i].seconds / number > LIMIT_TIME_S) return false;
        *spacing_s = units[i].seconds / number;
        return true;
    }
    return false;
}

bool option_read_load(const char *text, unsigned processors, double *out)
{
    double number;
    const char *end = read_number(text, &number);
    if (!end || (*end && strcmp(end, "%") != 0)) return false;
    if (*end) number = number / 100 * processors;
    *out = number > 0 ? number : 0.01;
    return true;
}

static bool is_error(const char *name, size_t len)
{
    for (unsigned i = 0; i < ITEM_CANCELLED; i++) {
        const char *known = item_error_name((enum item_error)i);
        if (strlen(known) == len && memcmp(known, name, len) == 0) return true;
    }
    return false;
}

bool option_is_error_list(const char *text)
{
    for (;; text++) {
        size_t len = strcspn(text, ",");
        if (!is_error(text, len)) return false;
        text += len;
        if (!*text) return true;
    }
}
