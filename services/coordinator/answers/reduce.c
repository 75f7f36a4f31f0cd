#include "coordinator/answers/reduce.h"

#include <float.h>
#include <math.h>

#include "coordinator/answers/value_compare.h"

void reduction_init(struct reduction *r, enum job_reduce kind, size_t max_bytes)
{
    *r = (struct reduction){.kind = kind};
    buf_init(&r->best, max_bytes);
}

void reduction_release(struct reduction *r)
{
    buf_release(&r->best);
}

static void fail(struct reduction *r, uint64_t index, const char *why)
{
    snprintf(r->error, sizeof r->error, "%s cannot be applied to the value of item %llu: %s", job_reduce_name(r->kind),
             (unsigned long long)index, why);
}

static bool is_number(const char *v)
{
    return *v == '-' || (*v >= '0' && *v <= '9');
}

/* Reads a JSON integer of at most 25 digits. The sum of LIMIT_ITEMS such integers fits in 127 bits. */
static bool read_integer(const char *v, size_t len, __int128 *n)
{
    bool negative = *v == '-';
    size_t at = negative;
    __int128 sum = 0;
    if (len - at > 25) return false;
    for (; at < len; at++) {
        if (v[at] < '0' || v[at] > '9') return false;
        sum = sum * 10 + (v[at] - '0');
    }
    *n = negative ? -sum : sum;
    return true;
}

static double read_double(const char *v, size_t len)
{
    char text[64];
    if (len < sizeof text) {
        memcpy(text, v, len);
        text[len] = '\0';
        return strtod(text, NULL);
    }
    char *copy = xstrndup(v, len);
    double d = strtod(copy, NULL);
    free(copy);
    return d;
}

static void add_real(struct reduction *r, double x)
{
    double t = r->real + x;
    r->lost += fabs(r->real) >= fabs(x) ? (r->real - t) + x : (x - t) + r->real;
    r->real = t;
    r->has_real = true;
}

static void add_to_sum(struct reduction *r, uint64_t index, const char *v, size_t len)
{
    __int128 n;
    if (!is_number(v))
        fail(r, index, "it is not a number");
    else if (read_integer(v, len, &n))
        r->integer += n;
    else
        add_real(r, read_double(v, len));
    if (r->has_real && !isfinite(r->real)) fail(r, index, "the sum is larger than the largest number");
}

static void keep_best(struct reduction *r, uint64_t index, const char *v, size_t len)
{
    if (!is_number(v) && *v != '"') {
        fail(r, index, "it is neither a number nor a string");
        return;
    }
    if (r->values > 0) {
        if ((r->best.data[0] == '"') != (*v == '"')) {
            fail(r, index, "numbers and strings are mixed");
            return;
        }
        struct json_slice value = {v, len}, best = {r->best.data, r->best.len};
        int order = *v == '"' ? value_compare_strings(value, best) : value_compare_numbers(value, best);
        if (r->kind == REDUCE_MIN ? order >= 0 : order <= 0) return;
    }
    buf_clear(&r->best);
    if (!buf_add(&r->best, v, len)) fail(r, index, "it is too large");
}

static bool is_blank(const char *v, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (v[i] != ' ' && v[i] != '\t') return false;
    return true;
}

static void concat(struct reduction *r, uint64_t index, const char *v, size_t len)
{
    if (*v != '[' && *v != '"') {
        fail(r, index, "it is neither an array nor a string");
        return;
    }
    if (r->values == 0) r->open = *v;
    if (r->open != *v) {
        fail(r, index, "arrays and strings are mixed");
        return;
    }
    if (*v == '[' && is_blank(v + 1, len - 2)) return;
    bool fits = (*v != '[' || r->best.len == 0 || buf_add_char(&r->best, ',')) && buf_add(&r->best, v + 1, len - 2);
    if (!fits) fail(r, index, "the result is too large");
}

void reduction_add(struct reduction *r, uint64_t index, const char *value, size_t len)
{
    if (r->error[0]) return;
    switch (r->kind) {
    case REDUCE_SUM: add_to_sum(r, index, value, len); break;
    case REDUCE_MIN:
    case REDUCE_MAX: keep_best(r, index, value, len); break;
    case REDUCE_CONCAT: concat(r, index, value, len); break;
    default: break; /* count needs only r->values */
    }
    r->values++;
}

static bool write_int128(struct buf *out, __int128 n)
{
    char digits[40];
    size_t at = sizeof digits;
    bool negative = n < 0;
    unsigned __int128 left = negative ? 0 - (unsigned __int128)n : (unsigned __int128)n;
    do digits[--at] = (char)('0' + (int)(left % 10));
    while (left /= 10);
    if (negative) digits[--at] = '-';
    return buf_add(out, digits + at, sizeof digits - at);
}

/* Writes a double with the fewest digits that parse to the same double. */
static bool write_double(struct buf *out, double d)
{
    char text[32];
    for (int digits = DBL_DIG; digits <= DBL_DECIMAL_DIG; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, d);
        if (strtod(text, NULL) == d) break;
    }
    return buf_add_str(out, text);
}

static bool write_sum(const struct reduction *r, struct buf *out)
{
    if (!r->has_real) return write_int128(out, r->integer);
    double sum = r->real + r->lost + (double)r->integer;
    return isfinite(sum) ? write_double(out, sum) : buf_add_str(out, "null");
}

bool reduction_result(const struct reduction *r, struct buf *out)
{
    if (r->kind == REDUCE_SUM) return write_sum(r, out);
    if (r->kind == REDUCE_COUNT) return buf_add_u64(out, r->values);
    if (r->values == 0) return buf_add_str(out, "null");
    if (r->kind != REDUCE_CONCAT) return buf_add(out, r->best.data, r->best.len);
    return buf_add_char(out, r->open) && buf_add(out, r->best.data, r->best.len) &&
           buf_add_char(out, r->open == '[' ? ']' : '"');
}
