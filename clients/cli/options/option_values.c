#include "cli/options/option_values.h"

#include <math.h>

#include "common/base/limits.h"
#include "protocol/protocol.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads a decimal number that is at least 0 and below 1e15. Returns the end of the number; NULL if the text does not
 * begin with such a number. */
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
        double per_s = number / units[i].seconds;
        if (number <= 0 || 1 / per_s > LIMIT_TIME_S || per_s > LIMIT_RATE) return false;
        *spacing_s = 1 / per_s;
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

static enum run_gate_why why_of(const char *word, size_t len)
{
    for (unsigned why = RUN_GATE_FAILED; why < RUN_GATE_WHY_COUNT; why++)
        if (strlen(run_gate_why_words[why]) == len && memcmp(run_gate_why_words[why], word, len) == 0)
            return (enum run_gate_why)why;
    return RUN_GATE_NEVER;
}

static bool read_halt_count(const char *text, struct run_gate_rules *rules)
{
    double number;
    if (option_read_percent(text, &number) && number <= 100) {
        rules->halt_fraction = number / 100;
        return true;
    }
    if (!is_digit(*text) || text[strspn(text, "0123456789")]) return false;
    rules->halt_count = strtod(text, NULL);
    return rules->halt_count > 0;
}

bool option_read_halt(const char *text, struct run_gate_rules *rules)
{
    static const struct {
        const char *text, *meaning;
    } forms[] = {{"1", "soon,fail=1"}, {"2", "now,fail=1"}, {"-1", "soon,success=1"}, {"-2", "now,success=1"}};
    struct run_gate_rules read = *rules;
    if (strcmp(text, "never") == 0 || strcmp(text, "0") == 0) return true;
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
        if (strcmp(text, forms[i].text) == 0) text = forms[i].meaning;
    const char *comma = strchr(text, ','), *equals = strchr(text, '=');
    read.halt_cuts = strncmp(text, "now,", 4) == 0;
    read.halt_why = RUN_GATE_FAILED;
    if (comma && equals) {
        if (!read.halt_cuts && strncmp(text, "soon,", 5) != 0) return false;
        read.halt_why = why_of(comma + 1, equals > comma ? (size_t)(equals - comma - 1) : 0);
    } else if (!strchr(text, '%')) {
        return false;
    }
    if (!read.halt_why || !read_halt_count(equals ? equals + 1 : text, &read)) return false;
    *rules = read;
    return true;
}

/* Returns the error with this name. Returns ITEM_CANCELLED if no error has this name, or if items are never run again
 * after this error. */
static enum item_error error_of(const char *name, size_t len)
{
    unsigned i = 0;
    for (; i < ITEM_CANCELLED; i++) {
        const char *known = item_error_name((enum item_error)i);
        if (strlen(known) == len && memcmp(known, name, len) == 0) break;
    }
    return (enum item_error)i;
}

bool option_read_errors(const char *text, uint32_t *bits)
{
    uint32_t read = 0;
    for (;; text++) {
        size_t len = strcspn(text, ",");
        enum item_error error = error_of(text, len);
        if (error == ITEM_CANCELLED) return false;
        read |= 1u << error;
        text += len;
        if (!*text) break;
    }
    *bits = read;
    return true;
}
