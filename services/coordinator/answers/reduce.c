#include "coordinator/answers/reduce.h"

#include <float.h>
#include <math.h>

#include "common/base/limits.h"
#include "common/base/memory_room.h"

/* A number with fewer bytes is read in one step. */
enum { SHORT_NUMBER_BYTES = 64 };

void reduction_init(struct reduction *r, enum job_reduce kind, size_t max_bytes)
{
    *r = (struct reduction){.kind = kind};
    buf_init(&r->best, max_bytes + 2); /* concat: max_bytes excludes the first and the last character */
}

void reduction_release(struct reduction *r)
{
    buf_release(&r->best);
    value_compare_release(&r->compare);
}

static void fail(struct reduction *r, uint64_t index, const char *why)
{
    snprintf(r->error, sizeof r->error, "%s cannot be applied to the value of item %llu (index %llu): %s",
             job_reduce_name(r->kind), (unsigned long long)index + 1, (unsigned long long)index, why);
}

static void fail_too_large(struct reduction *r, uint64_t index)
{
    char why[80];
    size_t max = r->best.cap - 2;
    bool is_mib = max >= MIB && max % MIB == 0;
    snprintf(why, sizeof why, "the result would exceed its limit of %zu %s", is_mib ? max / MIB : max,
             is_mib ? "MiB" : "bytes");
    fail(r, index, why);
}

static bool is_number(const char *v)
{
    return *v == '-' || (*v >= '0' && *v <= '9');
}

/* Reads a JSON integer of at most 25 digits. The sum of LIMIT_ITEMS integers of 25 digits fits in 127 bits. */
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

static double read_short_double(const char *v, size_t len)
{
    char text[SHORT_NUMBER_BYTES];
    memcpy(text, v, len);
    text[len] = '\0';
    return strtod(text, NULL);
}

static void add_real(struct reduction *r, double x)
{
    double t = r->real + x;
    r->lost += fabs(r->real) >= fabs(x) ? (r->real - t) + x : (x - t) + r->real;
    r->real = t;
    r->has_real = true;
}

/* The functions below that read a value within a budget return whether they have finished with it: the whole value was
 * added, or r->error says why it cannot be added. */

static bool add_long_number(struct reduction *r, struct json_slice value, size_t *budget)
{
    if (r->phase == REDUCTION_BEGIN) decimal_init(&r->number);
    r->phase = REDUCTION_READ;
    if (!decimal_read(&r->number, value, budget)) return false;
    add_real(r, decimal_to_double(&r->number, value));
    return true;
}

static bool add_to_sum(struct reduction *r, uint64_t index, struct json_slice value, size_t *budget)
{
    __int128 n;
    bool whole = true;
    if (!is_number(value.data))
        fail(r, index, "it is not a number");
    else if (value.len >= SHORT_NUMBER_BYTES)
        whole = add_long_number(r, value, budget);
    else if (read_integer(value.data, value.len, &n))
        r->integer += n;
    else
        add_real(r, read_short_double(value.data, value.len));
    if (r->has_real && !isfinite(r->real)) fail(r, index, "the sum is larger than the largest number");
    return whole;
}

/* Makes room for `n` more bytes of the value, and for the two characters that may follow it. Returns false if there is
 * no memory for them. */
static bool has_memory(struct reduction *r, size_t n)
{
    size_t left = r->best.cap - r->best.len, extra = n + 2 < left ? n + 2 : left;
    r->lacks_memory = !memory_has_room(buf_growth(&r->best, extra));
    return !r->lacks_memory && buf_reserve(&r->best, extra);
}

/* Appends to r->best the bytes of the value that begin at r->copied and end before `end`, as far as the budget
 * allows. */
static bool copy(struct reduction *r, uint64_t index, struct json_slice value, size_t end, size_t *budget)
{
    size_t left = end - r->copied, n = left < *budget ? left : *budget;
    r->phase = REDUCTION_COPY;
    if (r->best.len + left > r->best.cap - 2 + (r->kind == REDUCE_CONCAT)) {
        fail_too_large(r, index);
        return true;
    }
    if (!has_memory(r, n)) return false;
    buf_add(&r->best, value.data + r->copied, n);
    r->copied += n;
    *budget -= n;
    return n == left;
}

static bool check_best(struct reduction *r, uint64_t index, char first)
{
    if (!is_number(&first) && first != '"')
        fail(r, index, "it is neither a number nor a string");
    else if (r->values > 0 && (r->best.data[0] == '"') != (first == '"'))
        fail(r, index, "numbers and strings are mixed");
    return !r->error[0];
}

static bool keep_best(struct reduction *r, uint64_t index, struct json_slice value, size_t *budget)
{
    if (r->phase == REDUCTION_BEGIN) {
        if (!check_best(r, index, value.data[0])) return true;
        value_compare_init(&r->compare);
        r->phase = r->values ? REDUCTION_COMPARE : REDUCTION_COPY;
    }
    if (r->phase == REDUCTION_COMPARE) {
        struct json_slice best = {r->best.data, r->best.len};
        if (!value_compare_step(&r->compare, value, best, budget)) return false;
        int order = r->compare.order;
        if (r->kind == REDUCE_MIN ? order >= 0 : order <= 0) return true;
        r->phase = REDUCTION_COPY;
        buf_clear(&r->best);
    }
    return copy(r, index, value, value.len, budget);
}

static bool check_parts(struct reduction *r, uint64_t index, char first)
{
    if (first != '[' && first != '"')
        fail(r, index, "it is neither an array nor a string");
    else if (r->values == 0)
        buf_add_char(&r->best, first);
    else if (r->best.data[0] != first)
        fail(r, index, "arrays and strings are mixed");
    return !r->error[0];
}

/* Skips the white space at the start of the array, so that the caller can see whether the array is empty. An empty
 * array adds nothing, not even a comma. Returns false if the budget is used up before the end of this white space. */
static bool look_for_elements(struct reduction *r, struct json_slice value, size_t *budget)
{
    while (r->copied < value.len - 1 && (value.data[r->copied] == ' ' || value.data[r->copied] == '\t')) {
        if (*budget == 0) return false;
        r->copied++;
        --*budget;
    }
    return true;
}

static bool concat(struct reduction *r, uint64_t index, struct json_slice value, size_t *budget)
{
    if (r->phase == REDUCTION_BEGIN) {
        if (!check_parts(r, index, value.data[0])) return true;
        r->phase = REDUCTION_BLANK;
        r->copied = 1;
    }
    if (r->phase == REDUCTION_BLANK) {
        bool array = value.data[0] == '[';
        if (array && !look_for_elements(r, value, budget)) return false;
        if (array && r->copied == value.len - 1) return true;
        if (array && r->best.len > 1) buf_add_char(&r->best, ',');
        r->copied = 1;
    }
    return copy(r, index, value, value.len - 1, budget);
}

static bool add(struct reduction *r, uint64_t index, struct json_slice value, size_t *budget)
{
    switch (r->kind) {
    case REDUCE_SUM: return add_to_sum(r, index, value, budget);
    case REDUCE_MIN:
    case REDUCE_MAX: return keep_best(r, index, value, budget);
    case REDUCE_CONCAT: return concat(r, index, value, budget);
    default: return true; /* count needs only r->values */
    }
}

bool reduction_add(struct reduction *r, uint64_t index, const char *value, size_t len, size_t *budget)
{
    r->lacks_memory = false;
    if (r->error[0]) return true;
    if (!add(r, index, (struct json_slice){value, len}, budget)) return false;
    r->values++;
    r->phase = REDUCTION_BEGIN;
    r->copied = 0;
    return true;
}

void reduction_give_up(struct reduction *r, const char *why)
{
    snprintf(r->error, sizeof r->error, "%s", why);
    buf_release(&r->best);
    r->lacks_memory = false;
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

static void finish(struct reduction *r)
{
    char open = r->best.len ? r->best.data[0] : '\0';
    bool fits = true;
    if (r->kind == REDUCE_SUM)
        fits = write_sum(r, &r->best);
    else if (r->kind == REDUCE_COUNT)
        fits = buf_add_u64(&r->best, r->values);
    else if (r->values == 0)
        fits = buf_add_str(&r->best, "null");
    else if (r->kind == REDUCE_CONCAT)
        fits = buf_add_char(&r->best, open == '[' ? ']' : '"');
    if (!fits) BUG("a result of %zu bytes does not fit", r->best.len);
    r->finished = true;
}

struct json_slice reduction_result(struct reduction *r)
{
    if (!r->finished) finish(r);
    return (struct json_slice){r->best.data, r->best.len};
}
