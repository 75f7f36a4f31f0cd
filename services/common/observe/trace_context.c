#include "common/observe/trace_context.h"

enum { VERSION_AT = 0, TRACE_AT = 3, SPAN_AT = 36, FLAGS_AT = 53, END_AT = 55 };
static_assert(END_AT + 1 == TRACEPARENT_SIZE, "the length of a traceparent");

/* Returns the value of a hexadecimal digit. Upper case is invalid. */
static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

static bool read_hex(const char *text, uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static void write_hex(char *out, const uint8_t *bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
    *out = '\0';
}

static bool is_zero(const uint8_t *bytes, size_t count)
{
    uint8_t any = 0;
    for (size_t i = 0; i < count; i++) any |= bytes[i];
    return any == 0;
}

/* Version 00 ends after the flags. A later version of the header may have more fields after another dash. */
static bool ends_well(const char *header, uint8_t version)
{
    char next = header[END_AT];
    return next == '\0' || (version > 0 && next == '-');
}

bool trace_context_parse(struct trace_context *t, const char *header)
{
    struct trace_context read;
    uint8_t version;
    if (strnlen(header, END_AT) < END_AT) return false;
    if (header[TRACE_AT - 1] != '-' || header[SPAN_AT - 1] != '-' || header[FLAGS_AT - 1] != '-') return false;
    if (!read_hex(header + VERSION_AT, &version, 1) || version == 0xff || !ends_well(header, version)) return false;
    if (!read_hex(header + TRACE_AT, read.trace_id, 16) || !read_hex(header + SPAN_AT, read.span_id, 8)) return false;
    if (!read_hex(header + FLAGS_AT, &read.flags, 1)) return false;
    if (is_zero(read.trace_id, 16) || is_zero(read.span_id, 8)) return false;
    *t = read;
    return true;
}

void trace_context_format(const struct trace_context *t, char out[TRACEPARENT_SIZE])
{
    const uint8_t version = 0, flags = t->flags & (TRACE_SAMPLED | TRACE_RANDOM);
    write_hex(out + VERSION_AT, &version, 1);
    write_hex(out + TRACE_AT, t->trace_id, 16);
    write_hex(out + SPAN_AT, t->span_id, 8);
    write_hex(out + FLAGS_AT, &flags, 1);
    out[TRACE_AT - 1] = out[SPAN_AT - 1] = out[FLAGS_AT - 1] = '-';
}

void trace_id_format(const struct trace_context *t, char out[TRACE_ID_SIZE])
{
    write_hex(out, t->trace_id, 16);
}

void span_id_format(const uint8_t span_id[8], char out[SPAN_ID_SIZE])
{
    write_hex(out, span_id, 8);
}

static uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

uint64_t trace_random_next(struct trace_random *r)
{
    uint64_t *s = r->state, result = rotate(s[0] + s[3], 23) + s[0], t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

static void put_random(uint8_t out[8], struct trace_random *r)
{
    uint64_t n;
    do n = trace_random_next(r);
    while (n == 0); /* an id must not be zero */
    memcpy(out, &n, sizeof n);
}

/* Returns whether the trace belongs to the share of traces that is recorded. Only the last eight bytes of the id decide
 * this, as in other implementations, so that all services record the same traces. */
static bool falls_within(const uint8_t trace_id[16], double ratio)
{
    uint64_t n = 0;
    for (int i = 8; i < 16; i++) n = n << 8 | trace_id[i];
    return ratio >= 1 || n >> 1 < (uint64_t)(ratio * 0x1p63);
}

void trace_context_inner(struct trace_context *t, const struct trace_context *parent, struct trace_random *r)
{
    struct trace_context child = *parent;
    put_random(child.span_id, r);
    *t = child;
}

void trace_context_child(struct trace_context *t, const struct trace_context *parent, const struct trace_sampler *s,
                         struct trace_random *r)
{
    if (parent) {
        trace_context_inner(t, parent, r);
        if (s->follows_parent) return;
    } else {
        put_random(t->trace_id, r);
        put_random(t->trace_id + 8, r);
        put_random(t->span_id, r);
        t->flags = TRACE_RANDOM;
    }
    t->flags = (uint8_t)((t->flags & ~TRACE_SAMPLED) | (falls_within(t->trace_id, s->ratio) ? TRACE_SAMPLED : 0));
}
