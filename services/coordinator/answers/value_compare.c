#include "coordinator/answers/value_compare.h"

#define EXPONENT_MOST 100000000000000000
#define NONE          SIZE_MAX
#define ESCAPE_COST   8 /* reading an escaped character takes about as long as comparing this many plain ones */
#define DOUBLE_DIGITS                                                                                                  \
    800u /* no double, and no midpoint between two doubles, has more significant digits                                \
          */

static void spend(size_t *budget, size_t bytes)
{
    *budget -= bytes < *budget ? bytes : *budget;
}

/* Numbers. */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

void decimal_init(struct decimal *d)
{
    *d = (struct decimal){.first = NONE, .point = NONE, .end = NONE};
}

static void read_byte(struct decimal *d, char c)
{
    size_t at = d->read++;
    if (d->in_exponent) {
        if (is_digit(c))
            d->exponent = d->exponent < EXPONENT_MOST ? d->exponent * 10 + (c - '0') : EXPONENT_MOST;
        else
            d->exponent_negative = c == '-';
    } else if (c == '.') {
        d->point = at;
    } else if (c == '-') {
        d->negative = true;
    } else if (!is_digit(c)) {
        d->in_exponent = true;
        d->end = at;
    } else if (c != '0') {
        if (d->first == NONE) d->first = at;
        d->last = at;
    }
}

bool decimal_read(struct decimal *d, struct json_slice number, size_t *budget)
{
    size_t left = number.len - d->read, n = left < *budget ? left : *budget;
    for (size_t i = 0; i < n; i++) read_byte(d, number.data[d->read]);
    spend(budget, n);
    if (d->read < number.len) return false;
    if (d->end == NONE) d->end = number.len;
    return true;
}

static int sign_of(const struct decimal *d)
{
    return d->first == NONE ? 0 : d->negative ? -1 : 1;
}

static int64_t power_of(const struct decimal *d)
{
    size_t point = d->point == NONE ? d->end : d->point;
    int64_t power = point > d->first ? (int64_t)(point - d->first) - 1 : -(int64_t)(d->first - point);
    return power + (d->exponent_negative ? -d->exponent : d->exponent);
}

/* Returns the digit at *at, and moves *at to the next one. Returns '0' after the last digit. */
static char next_digit(const struct decimal *d, struct json_slice number, size_t *at)
{
    if (*at == d->point) ++*at;
    return *at < d->end ? number.data[(*at)++] : '0';
}

double decimal_to_double(const struct decimal *d, struct json_slice number)
{
    char text[DOUBLE_DIGITS + 40];
    size_t len = 0, at = d->first;
    if (d->first == NONE) return d->negative ? -0.0 : 0.0;
    if (d->negative) text[len++] = '-';
    text[len++] = next_digit(d, number, &at);
    text[len++] = '.';
    for (unsigned i = 0; i < DOUBLE_DIGITS && at < d->end; i++) text[len++] = next_digit(d, number, &at);
    if (at <= d->last) text[len++] = '1'; /* the omitted digits are not all zeros */
    snprintf(text + len, sizeof text - len, "e%lld", (long long)power_of(d));
    return strtod(text, NULL);
}

static bool compare_numbers(struct value_compare *c, struct json_slice a, struct json_slice b, size_t *budget)
{
    if (!decimal_read(&c->a, a, budget) || !decimal_read(&c->b, b, budget)) return false;
    int sign = sign_of(&c->a);
    c->order = sign - sign_of(&c->b);
    if (c->order || sign == 0) return true;
    int64_t p = power_of(&c->a), q = power_of(&c->b);
    c->order = p < q ? -sign : p > q ? sign : 0;
    if (c->order) return true;
    if (!c->x.begun) c->x = (struct compare_place){.at = c->a.first, .begun = true};
    if (!c->y.begun) c->y = (struct compare_place){.at = c->b.first, .begun = true};
    while (c->x.at < c->a.end || c->y.at < c->b.end) {
        if (*budget == 0) return false;
        char digit = next_digit(&c->a, a, &c->x.at), other = next_digit(&c->b, b, &c->y.at);
        spend(budget, 1);
        if (digit == other) continue;
        c->order = digit < other ? -sign : sign;
        return true;
    }
    return true;
}

/* Strings. */

/* Returns the length of the escaped character at s, which may be two surrogates. */
static size_t escape_length(const char *s, size_t len)
{
    if (s[1] != 'u') return 2;
    bool high = (s[2] | 0x20) == 'd' && strchr("89abAB", s[3]);
    bool low = high && len >= 12 && s[6] == '\\' && s[7] == 'u' && (s[8] | 0x20) == 'd' && strchr("cdefCDEF", s[9]);
    return low ? 12 : 6;
}

static void read_escape(struct value_compare *c, struct compare_place *p, struct json_slice string)
{
    char text[14] = "\"";
    size_t left = string.len - 1 - p->at, len = escape_length(string.data + p->at, left);
    memcpy(text + 1, string.data + p->at, len);
    text[len + 1] = '"';
    buf_clear(&c->character);
    if (!json_string_decode((struct json_slice){text, len + 2}, &c->character) || c->character.len > sizeof p->bytes)
        BUG("an escape in a valid string cannot be read");
    memcpy(p->bytes, c->character.data, c->character.len);
    p->n = (uint8_t)c->character.len;
    p->used = 0;
    p->at += len;
}

/* Returns the next byte of the string's characters; -1 at its end. */
static int next_byte(struct value_compare *c, struct compare_place *p, struct json_slice string)
{
    if (p->used == p->n) {
        if (p->at == string.len - 1) return -1;
        if (string.data[p->at] != '\\') return (unsigned char)string.data[p->at++];
        read_escape(c, p, string);
    }
    return p->bytes[p->used++];
}

/* Returns how many bytes come before the next escape in either string, at most `most`. */
static size_t plain_bytes(const struct value_compare *c, struct json_slice a, struct json_slice b, size_t most)
{
    size_t n = a.len - 1 - c->x.at, m = b.len - 1 - c->y.at;
    if (c->x.used < c->x.n || c->y.used < c->y.n) return 0;
    if (n > m) n = m;
    if (n > most) n = most;
    const char *p = a.data + c->x.at, *q = b.data + c->y.at, *escape = n ? memchr(p, '\\', n) : NULL;
    if (escape) n = (size_t)(escape - p);
    escape = n ? memchr(q, '\\', n) : NULL;
    return escape ? (size_t)(escape - q) : n;
}

static bool compare_strings(struct value_compare *c, struct json_slice a, struct json_slice b, size_t *budget)
{
    if (!c->x.begun) c->x = c->y = (struct compare_place){.at = 1, .begun = true};
    while (*budget > 0) {
        size_t n = plain_bytes(c, a, b, *budget);
        c->order = n ? memcmp(a.data + c->x.at, b.data + c->y.at, n) : 0;
        if (c->order) return true;
        c->x.at += n;
        c->y.at += n;
        spend(budget, n);
        if (n > 0) continue;
        int p = next_byte(c, &c->x, a), q = next_byte(c, &c->y, b);
        c->order = p - q;
        if (c->order || p < 0) return true;
        spend(budget, ESCAPE_COST);
    }
    return false;
}

void value_compare_init(struct value_compare *c)
{
    *c = (struct value_compare){.character = c->character};
    decimal_init(&c->a);
    decimal_init(&c->b);
}

void value_compare_release(struct value_compare *c)
{
    buf_release(&c->character);
}

bool value_compare_step(struct value_compare *c, struct json_slice a, struct json_slice b, size_t *budget)
{
    return a.data[0] == '"' ? compare_strings(c, a, b, budget) : compare_numbers(c, a, b, budget);
}
