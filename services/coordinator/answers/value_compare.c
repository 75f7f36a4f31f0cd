#include "coordinator/answers/value_compare.h"

#define EXPONENT_MOST 100000000000000000

/* A number as its sign, its digits, and the power of ten of its first nonzero digit. */
struct decimal {
    int sign; /* -1, 0 or 1 */
    int64_t power;
    const char *at, *end; /* the digits and the decimal point, from the first nonzero digit on; "" for the number 0 */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int64_t read_exponent(const char *at, const char *end)
{
    bool negative = at < end && *at == '-';
    int64_t n = 0;
    for (at += at < end && !is_digit(*at); at < end; at++) n = n < EXPONENT_MOST ? n * 10 + (*at - '0') : EXPONENT_MOST;
    return negative ? -n : n;
}

static struct decimal read_decimal(struct json_slice number)
{
    const char *at = number.data, *end = number.data + number.len, *first = NULL, *point = NULL;
    bool negative = *at == '-';
    for (at += negative; at < end && (is_digit(*at) || *at == '.'); at++) {
        if (*at == '.') point = at;
        if (!first && *at != '.' && *at != '0') first = at;
    }
    if (!first) return (struct decimal){0};
    struct decimal d = {.sign = negative ? -1 : 1, .at = first, .end = at};
    if (!point) point = at;
    d.power = point > first ? point - first - 1 : point - first;
    if (at < end) d.power += read_exponent(at + 1, end);
    return d;
}

/* Returns the next digit; '0' after the last one. */
static char next_digit(struct decimal *d)
{
    if (d->at < d->end && *d->at == '.') d->at++;
    return d->at < d->end ? *d->at++ : '0';
}

int value_compare_numbers(struct json_slice a, struct json_slice b)
{
    struct decimal x = read_decimal(a), y = read_decimal(b);
    if (x.sign != y.sign) return x.sign < y.sign ? -1 : 1;
    if (x.power != y.power) return x.power < y.power ? -x.sign : x.sign;
    while (x.at < x.end || y.at < y.end) {
        char p = next_digit(&x), q = next_digit(&y);
        if (p != q) return p < q ? -x.sign : x.sign;
    }
    return 0;
}

static int compare_bytes(const char *a, size_t alen, const char *b, size_t blen)
{
    size_t both = alen < blen ? alen : blen;
    int order = both ? memcmp(a, b, both) : 0;
    return order ? order : (alen > blen) - (alen < blen);
}

static bool has_escape(struct json_slice string)
{
    return memchr(string.data, '\\', string.len) != NULL;
}

int value_compare_strings(struct json_slice a, struct json_slice b)
{
    if (!has_escape(a) && !has_escape(b)) return compare_bytes(a.data + 1, a.len - 2, b.data + 1, b.len - 2);
    struct buf x = {0}, y = {0};
    if (!json_string_decode(a, &x) || !json_string_decode(b, &y)) BUG("a value that is no string");
    int order = compare_bytes(x.data, x.len, y.data, y.len);
    buf_release(&x);
    buf_release(&y);
    return order;
}
