/*
 * Fast functions that skip a run of bytes for the scanner: white space, the plain part of a string, a number. Each
 * function takes the current position and the end of the data. Private to json_scan.c, json_whole.c and json_own.c.
 */
#ifndef FANTAIL_COMMON_JSON_JSON_BYTES_H
#define FANTAIL_COMMON_JSON_JSON_BYTES_H

#include "common/base/base.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline bool is_digit(char c)
{
    return (unsigned)c - '0' <= 9;
}

static inline bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline const char *skip_space(const char *p, const char *end)
{
    while (p < end && is_space(*p)) p++;
    return p;
}

/* Skips the plain bytes of a string. Stops at a quote, a backslash, a control character, or a non-ASCII byte. */
static inline const char *skip_plain(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), space = _mm_set1_epi8(' ');
    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        /* As signed bytes, control characters and non-ASCII bytes are both less than a space. */
        __m128i hit = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash)),
                                   _mm_cmplt_epi8(v, space));
        unsigned mask = (unsigned)_mm_movemask_epi8(hit);
        if (mask) return p + __builtin_ctz(mask);
    }
#else
    const uint64_t ones = UINT64_C(0x0101010101010101), high = UINT64_C(0x8080808080808080);
    for (; end - p >= 8; p += 8) {
        uint64_t v;
        memcpy(&v, p, 8);
        uint64_t quote = v ^ (ones * '"'), backslash = v ^ (ones * '\\');
        if (((quote - ones) | (backslash - ones) | (v - ones * ' ') | v) & high) break;
    }
#endif
    while (p < end && (signed char)*p >= ' ' && *p != '"' && *p != '\\') p++;
    return p;
}

static inline bool is_continuation(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

/* Skips valid characters of two or three bytes. Most non-ASCII characters have one of these lengths. Stops at any other
 * byte, and if fewer than three bytes are left. */
static inline const char *skip_utf8(const char *p, const char *end)
{
    while (end - p >= 3) {
        unsigned char c = (unsigned char)p[0], d = (unsigned char)p[1];
        if (c >= 0xE0 && c < 0xF0) {
            if (!is_continuation(p[1]) || !is_continuation(p[2])) break;
            if ((c == 0xE0 && d < 0xA0) || (c == 0xED && d > 0x9F)) break;
            p += 3;
        } else if (c >= 0xC2 && c < 0xE0 && is_continuation(p[1])) {
            p += 2;
        } else {
            break;
        }
    }
    return p;
}

/* Returns the end of the number at p, or NULL when the number is malformed or cut off. */
static inline const char *number_end(const char *p, const char *end)
{
    if (p < end && *p == '-') p++;
    if (p == end || !is_digit(*p)) return NULL;
    if (*p == '0') {
        p++;
    } else {
        while (p < end && is_digit(*p)) p++;
    }
    if (p < end && *p == '.') {
        p++;
        if (p == end || !is_digit(*p)) return NULL;
        while (p < end && is_digit(*p)) p++;
    }
    if (p < end && (*p | 0x20) == 'e') {
        p++;
        if (p < end && (*p == '+' || *p == '-')) p++;
        if (p == end || !is_digit(*p)) return NULL;
        while (p < end && is_digit(*p)) p++;
    }
    return p;
}

/* Returns the end of the value at p if it is an ASCII scalar without escapes, else NULL. */
static inline const char *plain_scalar_end(const char *p, const char *end)
{
    if (p == end) return NULL;
    if (*p == '-' || is_digit(*p)) return number_end(p, end);
    if (*p == '"') {
        p = skip_plain(p + 1, end);
        return p < end && *p == '"' ? p + 1 : NULL;
    }
    if (end - p >= 4 && (memcmp(p, "true", 4) == 0 || memcmp(p, "null", 4) == 0)) return p + 4;
    if (end - p >= 5 && memcmp(p, "false", 5) == 0) return p + 5;
    return NULL;
}

#endif
