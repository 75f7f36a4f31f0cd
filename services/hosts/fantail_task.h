/*
 * The interface of a fantail task in C or C++. A task needs no other file.
 *
 *     #include "fantail_task.h"
 *
 *     int fantail_task(const struct fantail_item *item, struct fantail_reply *reply)
 *     {
 *         int64_t n;
 *         if (!fantail_get_integer(item, &n)) return fantail_reply_error(reply, "an integer was expected");
 *         return fantail_reply_integer(reply, n * n);
 *     }
 *
 *     cc -O2 -fPIC -shared -I DIR_OF_THIS_FILE -o square.so square.c      (in C++ fantail_task is extern "C")
 *     task.json: {"mode": "native", "command": ["./square.so"]}
 *
 * A worker has several processes of a task. Each process calls fantail_task() for one item after another, always on the
 * same thread. So a task may keep state in static variables, and may initialise this state in a constructor function.
 * If the task crashes, only the current item fails. The output of the task goes to the worker's log, never into an
 * answer.
 *
 * If the JSON value has another type or is out of range, a get function returns false and does not change its output
 * parameter. The exception is fantail_get_string(), which may have written a part of the text. A reply function that
 * returns an int replaces the earlier reply, and fantail_task() should return this int.
 */
#ifndef FANTAIL_TASK_H
#define FANTAIL_TASK_H

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One valid JSON value, without white space around it. Borrowed until fantail_task() returns. */
struct fantail_item {
    const char *json; /* NUL-terminated, except in a member that fantail_get_member() has found */
    size_t len;
    const char *common; /* the job's common value, as NUL-terminated JSON; NULL: the job has none */
    size_t common_len;
    const char *traceparent; /* W3C Trace Context: the item's span, the parent for your own spans; NULL: none */
    const char *tracestate;
};

/* The answer to one item. The fields are private to this header and the host. */
struct fantail_reply {
    char *data;
    size_t len, room;
    /* Grows the buffer until `room - len >= extra`. Ends the process if memory runs out. */
    void (*grow)(struct fantail_reply *reply, size_t extra);
    bool failed; /* `data` is an error message */
};

/* You write this function. If fantail_task() returns 0, the reply is the value of the item, or null if there was no
 * reply. If fantail_task() returns another number, the item fails; call fantail_reply_error() to give the reason. */
int fantail_task(const struct fantail_item *item, struct fantail_reply *reply);

/* ---- Reading the item ---- */

/* Reads a whole number that fits in int64_t and is written without fraction or exponent. */
static inline bool fantail_get_integer(const struct fantail_item *item, int64_t *value)
{
    const char *at = item->json, *end = at + item->len;
    bool negative = at < end && *at == '-';
    at += negative;
    if (at == end) return false;
    uint64_t n = 0, limit = (uint64_t)INT64_MAX + negative;
    for (; at < end; at++) {
        unsigned digit = (unsigned)(unsigned char)*at - '0';
        if (digit > 9 || n > (limit - digit) / 10) return false;
        n = n * 10 + digit;
    }
    *value = negative ? (int64_t)(0 - n) : (int64_t)n;
    return true;
}

static inline bool fantail_get_number(const struct fantail_item *item, double *value)
{
    if (item->len == 0 || (item->json[0] != '-' && (item->json[0] < '0' || item->json[0] > '9'))) return false;
    char *end;
    double number = strtod(item->json, &end);
    if (end != item->json + item->len || !isfinite(number)) return false;
    *value = number;
    return true;
}

/* Reads four hexadecimal digits. There must be four. */
static inline unsigned fantail_hex4(const char *at)
{
    unsigned code = 0;
    for (int i = 0; i < 4; i++) {
        unsigned c = (unsigned char)at[i];
        code = code << 4 | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return code;
}

/* Writes a character as UTF-8. Returns a pointer to the byte after this character. */
static inline char *fantail_put_utf8(char *to, unsigned code)
{
    if (code < 0x80) {
        *to++ = (char)code;
        return to;
    }
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    *to++ = (char)((more == 1 ? 0xC0 : more == 2 ? 0xE0 : 0xF0) | code >> (6 * more));
    while (more--) *to++ = (char)(0x80 | ((code >> (6 * more)) & 0x3F));
    return to;
}

/* This value stands for a lone surrogate, which is not a character and cannot be encoded in UTF-8. */
#define FANTAIL_HALF_PAIR 0xFFFFFFFFu

/* Reads an escape. On entry *at points after the backslash; on return, after the escape. Returns a character or
 * FANTAIL_HALF_PAIR.
 */
static inline unsigned fantail_unescape(const char **at, const char *end)
{
    static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
    char c = *(*at)++;
    const char *letter = (const char *)memchr(letters, c, sizeof letters - 1);
    if (letter) return (unsigned char)meanings[letter - letters];
    if (c != 'u') return (unsigned char)c;
    unsigned code = fantail_hex4(*at);
    *at += 4;
    if (code < 0xD800 || code > 0xDFFF) return code;
    if (code > 0xDBFF || end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u') return FANTAIL_HALF_PAIR;
    unsigned low = fantail_hex4(*at + 2);
    if (low < 0xDC00 || low > 0xDFFF) return FANTAIL_HALF_PAIR;
    *at += 6;
    return 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
}

/* Decodes a string to UTF-8 text without quotes and escapes, and appends a NUL. An escape \u0000 becomes a NUL within
 * the text. `text` has room for `size` bytes; item->len bytes are always enough. Returns false if there is too little
 * room, or if the string has a lone surrogate, which UTF-8 cannot encode. `len` may be NULL. */
static inline bool fantail_get_string(const struct fantail_item *item, char *text, size_t size, size_t *len)
{
    enum { CHARACTER_BYTES = 4 };
    if (item->len < 2 || item->json[0] != '"') return false;
    const char *at = item->json + 1, *end = item->json + item->len - 1;
    char *to = text;
    while (at < end) {
        const char *escape = (const char *)memchr(at, '\\', (size_t)(end - at));
        size_t plain = (size_t)((escape ? escape : end) - at);
        if (plain >= size - (size_t)(to - text)) return false;
        memcpy(to, at, plain);
        to += plain;
        at += plain;
        if (!escape) break;
        char character[CHARACTER_BYTES];
        at++;
        unsigned code = fantail_unescape(&at, end);
        if (code == FANTAIL_HALF_PAIR) return false;
        size_t n = (size_t)(fantail_put_utf8(character, code) - character);
        if (n >= size - (size_t)(to - text)) return false;
        memcpy(to, character, n);
        to += n;
    }
    if (size == 0) return false;
    *to = '\0';
    if (len) *len = (size_t)(to - text);
    return true;
}

/* Returns the end of the JSON value at `at`. The JSON must be valid; the JSON of an item always is. */
static inline const char *fantail_skip_value(const char *at, const char *end)
{
    size_t depth = 0;
    for (bool in_string = false; at < end; at++) {
        if (in_string) {
            if (*at == '\\')
                at++;
            else if (*at == '"')
                in_string = false;
        } else if (*at == '"') {
            in_string = true;
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if (*at == '}' || *at == ']' || *at == ',' || (unsigned char)*at <= ' ') {
            if (depth == 0) break;
            depth -= *at == '}' || *at == ']';
        }
        if (depth == 0 && !in_string && (*at == '"' || *at == '}' || *at == ']')) return at + 1;
    }
    return at < end ? at : end;
}

static inline const char *fantail_skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) at++;
    return at;
}

/* Finds a member of an object. The member can be passed to the other functions like an item. The first character of its
 * JSON shows its type: '{', '[', '"', 't', 'f', 'n', a digit or a minus. The name is compared byte by byte; escapes in
 * names are not decoded. Returns false if the item is not an object or has no such member. */
static inline bool fantail_get_member(const struct fantail_item *item, const char *name, struct fantail_item *member)
{
    const char *at = item->json, *end = at + item->len;
    size_t name_len = strlen(name);
    if (at == end || *at != '{') return false;
    for (;;) {
        const char *key = fantail_skip_space(at + 1, end);
        if (key >= end || *key != '"') return false;
        const char *key_end = fantail_skip_value(key, end);
        const char *value = fantail_skip_space(fantail_skip_space(key_end, end) + 1, end);
        if (value >= end) return false;
        const char *value_end = fantail_skip_value(value, end);
        if ((size_t)(key_end - key) == name_len + 2 && memcmp(key + 1, name, name_len) == 0) {
            *member = *item;
            member->json = value;
            member->len = (size_t)(value_end - value);
            return true;
        }
        at = fantail_skip_space(value_end, end);
        if (at >= end || *at != ',') return false;
    }
}

static inline bool fantail_get_member_integer(const struct fantail_item *item, const char *name, int64_t *value)
{
    struct fantail_item member;
    return fantail_get_member(item, name, &member) && fantail_get_integer(&member, value);
}

static inline bool fantail_get_member_number(const struct fantail_item *item, const char *name, double *value)
{
    struct fantail_item member;
    return fantail_get_member(item, name, &member) && fantail_get_number(&member, value);
}

/* ---- Replying ---- */

/* Lets you build a value in place. Returns a pointer to which you may write up to `extra` bytes. After writing, call
 * fantail_reply_wrote() with the number of bytes that you have written. The complete reply must be JSON without
 * newlines. The pointer is valid until the next call for this reply. */
static inline char *fantail_reply_room(struct fantail_reply *reply, size_t extra)
{
    if (reply->room - reply->len < extra) reply->grow(reply, extra);
    return reply->data + reply->len;
}

static inline void fantail_reply_wrote(struct fantail_reply *reply, size_t len)
{
    reply->len += len;
}

static inline void fantail_reply_clear(struct fantail_reply *reply)
{
    reply->len = 0;
    reply->failed = false;
}

/* Appends a piece of JSON. Newlines become spaces, because a newline in JSON can only be white space. */
static inline void fantail_reply_append(struct fantail_reply *reply, const char *json, size_t len)
{
    char *at = fantail_reply_room(reply, len), *end = at + len;
    if (len == 0) return;
    memcpy(at, json, len);
    while ((at = (char *)memchr(at, '\n', (size_t)(end - at)))) *at++ = ' ';
    fantail_reply_wrote(reply, len);
}

static inline int fantail_reply_value(struct fantail_reply *reply, const char *json, size_t len)
{
    fantail_reply_clear(reply);
    fantail_reply_append(reply, json, len);
    return 0;
}

static inline int fantail_reply_integer(struct fantail_reply *reply, int64_t value)
{
    char digits[24], *at = digits + sizeof digits;
    uint64_t n = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do *--at = (char)('0' + n % 10);
    while (n /= 10);
    if (value < 0) *--at = '-';
    size_t len = (size_t)(digits + sizeof digits - at);
    fantail_reply_clear(reply);
    memcpy(fantail_reply_room(reply, sizeof digits), at, len);
    fantail_reply_wrote(reply, len);
    return 0;
}

/* Replies with a JSON string: adds quotes and escapes to the text. If the text is not UTF-8, the item fails with
 * bad_output. */
static inline int fantail_reply_string(struct fantail_reply *reply, const char *text, size_t len)
{
    static const char hex[] = "0123456789abcdef", escape[4] = {'\\', 'u', '0', '0'};
    enum { ESCAPE_BYTES = 6 };
    fantail_reply_clear(reply);
    char *to = fantail_reply_room(reply, ESCAPE_BYTES * len + 2);
    *to++ = '"';
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20) {
            memcpy(to, escape, sizeof escape);
            to[4] = hex[c >> 4];
            to[5] = hex[c & 15];
            to += ESCAPE_BYTES;
            continue;
        }
        if (c == '"' || c == '\\') *to++ = '\\';
        *to++ = (char)c;
    }
    *to++ = '"';
    fantail_reply_wrote(reply, (size_t)(to - (reply->data + reply->len)));
    return 0;
}

/* Makes the item fail with this message. A message of 1,000 bytes or more is cut. Returns 1. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static inline int
fantail_reply_error(struct fantail_reply *reply, const char *format, ...)
{
    enum { MESSAGE_BYTES = 1000 };
    va_list args;
    fantail_reply_clear(reply);
    va_start(args, format);
    int len = vsnprintf(fantail_reply_room(reply, MESSAGE_BYTES), MESSAGE_BYTES, format, args);
    va_end(args);
    if (len >= MESSAGE_BYTES) {
        len = MESSAGE_BYTES - 2;
        while (len > 0 && (reply->data[len] & 0xC0) == 0x80) len--; /* so that the cut does not split a character */
    }
    fantail_reply_wrote(reply, len < 0 ? 0 : (size_t)len);
    reply->failed = true;
    return 1;
}

/* Replies with a number. The number is rounded to 15, 16 or 17 digits: the fewest from which the same double can be
 * read back. If the value is NaN or infinite, the item fails, because JSON has no such numbers. */
static inline int fantail_reply_number(struct fantail_reply *reply, double value)
{
    enum { NUMBER_BYTES = 32 };
    if (!isfinite(value)) return fantail_reply_error(reply, "the result is not a finite number");
    fantail_reply_clear(reply);
    char *at = fantail_reply_room(reply, NUMBER_BYTES);
    int len = 0;
    for (int digits = 15; digits <= 17; digits++) {
        len = snprintf(at, NUMBER_BYTES, "%.*g", digits, value);
        if (strtod(at, NULL) == value) break;
    }
    fantail_reply_wrote(reply, (size_t)len);
    return 0;
}

#ifdef __cplusplus
}
#endif

#endif
