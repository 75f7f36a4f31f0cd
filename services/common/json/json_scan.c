#include "common/json/json_scan.h"

#include "common/json/json_bytes.h"

/*
 * The states of the scanner between two bytes. For each state: what may come -> the next state.
 *
 *   VALUE           a value: scalar -> AFTER, '[' -> VALUE_OR_CLOSE, '{' -> NAME_OR_CLOSE
 *   VALUE_OR_CLOSE  the same as VALUE, or ']' -> AFTER
 *   NAME_OR_CLOSE   '"' -> STRING (then COLON), or '}' -> AFTER
 *   NAME            '"' -> STRING (then COLON)
 *   COLON           ':' -> VALUE
 *   AFTER           ',' -> VALUE or NAME; ']' or '}' -> AFTER, one level up; at depth 0 the value is whole
 *   STRING          characters; '\' -> ESCAPE; first byte of a multi-byte character -> UTF8; '"' -> s->after_string
 *   ESCAPE          one of "\/bfnrt -> STRING, 'u' -> HEX_1 -> HEX_2 -> HEX_3 -> HEX_4 -> STRING
 *   UTF8            utf8_left more bytes, the next one from utf8_low to utf8_high -> STRING
 *   LITERAL         the rest of true, false or null -> AFTER
 *   MINUS .. EXP    inside a number; INT, ZERO, FRACTION and EXP may be its end -> AFTER
 */
enum json_state {
    VALUE,
    VALUE_OR_CLOSE,
    NAME_OR_CLOSE,
    NAME,
    COLON,
    AFTER,
    STRING,
    ESCAPE,
    HEX_1,
    HEX_2,
    HEX_3,
    HEX_4,
    UTF8,
    LITERAL,
    MINUS,
    ZERO,
    INT,
    DOT,
    FRACTION,
    E,
    E_SIGN,
    EXP,
    FAILED,
};

/* Reads the first byte of a multi-byte character. Returns false when no character starts with this byte. */
static bool utf8_lead(struct json_scan *s, unsigned char c)
{
    s->utf8_low = 0x80;
    s->utf8_high = 0xBF;
    if (c < 0xC2 || c > 0xF4) return false;
    s->utf8_left = c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
    if (c == 0xE0) s->utf8_low = 0xA0;  /* a lower byte is an overlong form */
    if (c == 0xED) s->utf8_high = 0x9F; /* a higher byte is a surrogate */
    if (c == 0xF0) s->utf8_low = 0x90;  /* a lower byte is an overlong form */
    if (c == 0xF4) s->utf8_high = 0x8F; /* a higher byte is beyond U+10FFFF */
    return true;
}

static const char *fail(struct json_scan *s, const char *p, const char *error)
{
    s->state = FAILED;
    s->error = error;
    return p;
}

static bool in_object(const struct json_scan *s)
{
    unsigned d = s->depth - 1;
    return s->is_object[d / 64] >> (d % 64) & 1;
}

static const char *open_container(struct json_scan *s, const char *p)
{
    if (s->depth == s->max_depth) return fail(s, p, "the value is nested too deeply");
    uint64_t bit = UINT64_C(1) << (s->depth % 64);
    uint64_t *word = &s->is_object[s->depth / 64];
    bool object = *p == '{';
    if (s->depth % 64 == 0) *word = 0; /* clears the word before its first use, because json_scan_init() does not */
    *word = object ? *word | bit : *word & ~bit;
    s->depth++;
    s->state = object ? NAME_OR_CLOSE : VALUE_OR_CLOSE;
    return p + 1;
}

static const char *close_container(struct json_scan *s, const char *p)
{
    s->depth--;
    s->state = AFTER;
    return p + 1;
}

static const char *begin_string(struct json_scan *s, const char *p, enum json_state after)
{
    s->after_string = (uint8_t)after;
    s->state = STRING;
    return p + 1;
}

static const char *begin_literal(struct json_scan *s, const char *p, const char *literal)
{
    s->literal = literal;
    s->literal_pos = 1;
    s->state = LITERAL;
    return p + 1;
}

static const char *begin_number(struct json_scan *s, const char *p, const char *end)
{
    const char *q = number_end(p, end);
    if (q && q < end) {
        s->state = AFTER;
        return q;
    }
    /* The number continues in the next piece, or is malformed. Reading byte by byte shows whether the number continues
     * or is malformed. */
    s->state = *p == '-' ? MINUS : *p == '0' ? ZERO : INT;
    return p + 1;
}

static const char *read_value(struct json_scan *s, const char *p, const char *end)
{
    switch (*p) {
    case '"': return begin_string(s, p, AFTER);
    case '{':
    case '[': return open_container(s, p);
    case 't': return begin_literal(s, p, "true");
    case 'f': return begin_literal(s, p, "false");
    case 'n': return begin_literal(s, p, "null");
    case ']':
        if (s->state == VALUE_OR_CLOSE) return close_container(s, p);
        break;
    default:
        if (*p == '-' || is_digit(*p)) return begin_number(s, p, end);
    }
    bool closes = s->state == VALUE_OR_CLOSE;
    switch ((unsigned char)*p) {
    case 0xEF: return fail(s, p, "a value was expected, not a byte order mark or other text");
    case 0xFE:
    case 0xFF: return fail(s, p, "a value was expected, not a byte that is never in UTF-8");
    case 0: return fail(s, p, "a value in UTF-8 was expected, not UTF-16 or UTF-32");
    default: return fail(s, p, closes ? "a value or ] was expected" : "a value was expected");
    }
}

static const char *read_name(struct json_scan *s, const char *p)
{
    if (*p == '"') return begin_string(s, p, COLON);
    if (s->state == NAME) return fail(s, p, "a name in quotes was expected");
    if (*p == '}') return close_container(s, p);
    return fail(s, p, "a name in quotes or } was expected");
}

static const char *read_after(struct json_scan *s, const char *p)
{
    bool object = in_object(s);
    if (*p == ',') {
        s->state = object ? NAME : VALUE;
        return p + 1;
    }
    if (*p == (object ? '}' : ']')) return close_container(s, p);
    return fail(s, p, object ? "a comma or } was expected" : "a comma or ] was expected");
}

static const char *read_string(struct json_scan *s, const char *p, const char *end)
{
    while (p < end) {
        p = skip_plain(p, end);
        if (p == end) return p;
        if (*p == '"') {
            s->state = s->after_string;
            return p + 1;
        }
        if (*p == '\\') {
            s->state = ESCAPE;
            return p + 1;
        }
        if ((unsigned char)*p < 0x20) return fail(s, p, "a control character in a string is not escaped");
        const char *q = skip_utf8(p, end);
        if (q == p) {
            if (!utf8_lead(s, (unsigned char)*p)) return fail(s, p, "a string is not valid UTF-8");
            s->state = UTF8;
            return p + 1;
        }
        p = q;
    }
    return p;
}

static const char *read_escape(struct json_scan *s, const char *p)
{
    if (*p == 'u') {
        s->state = HEX_1;
    } else if (*p && strchr("\"\\/bfnrt", *p)) {
        s->state = STRING;
    } else {
        return fail(s, p, "an unknown escape in a string");
    }
    return p + 1;
}

static const char *read_hex(struct json_scan *s, const char *p)
{
    if (!is_digit(*p) && (unsigned)(*p | 0x20) - 'a' > 5) return fail(s, p, "four hexadecimal digits were expected");
    s->state = s->state == HEX_4 ? STRING : (uint8_t)(s->state + 1);
    return p + 1;
}

static const char *read_utf8(struct json_scan *s, const char *p)
{
    unsigned char c = (unsigned char)*p;
    if (c < s->utf8_low || c > s->utf8_high) return fail(s, p, "a string is not valid UTF-8");
    s->utf8_low = 0x80;
    s->utf8_high = 0xBF;
    if (--s->utf8_left == 0) s->state = STRING;
    return p + 1;
}

static const char *read_literal(struct json_scan *s, const char *p)
{
    if (*p != s->literal[s->literal_pos]) return fail(s, p, "a word that is not true, false or null");
    s->literal_pos++;
    if (!s->literal[s->literal_pos]) s->state = AFTER;
    return p + 1;
}

/* Reads one byte of a number. A byte that does not belong to the number ends it, and is not consumed. */
static const char *read_number(struct json_scan *s, const char *p)
{
    bool digit = is_digit(*p), e = (*p | 0x20) == 'e';
    switch (s->state) {
    case MINUS:
        if (!digit) break;
        s->state = *p == '0' ? ZERO : INT;
        return p + 1;
    case ZERO:
    case INT:
        if (digit && s->state == INT) return p + 1;
        s->state = *p == '.' ? DOT : e ? E : AFTER;
        return s->state == AFTER ? p : p + 1;
    case FRACTION:
        if (digit) return p + 1;
        s->state = e ? E : AFTER;
        return e ? p + 1 : p;
    case EXP:
        if (digit) return p + 1;
        s->state = AFTER;
        return p;
    case E:
        if (*p == '+' || *p == '-') {
            s->state = E_SIGN;
            return p + 1;
        }
        break;
    default: /* a digit must follow in the states DOT and E_SIGN, and in E if there is no sign */ break;
    }
    if (!digit) return fail(s, p, "a digit was expected");
    s->state = s->state == DOT ? FRACTION : EXP;
    return p + 1;
}

/* Skips plain scalars of an array from p on, each with its comma. Most elements of a long array are plain scalars. */
static const char *skip_plain_items(struct json_scan *s, const char *p, const char *end)
{
    for (const char *q; (q = plain_scalar_end(p, end)) && q < end && *q == ',';) {
        p = q + 1;
        s->state = VALUE;
    }
    return p;
}

/* Consumes at least one byte, or changes the state. */
static const char *step(struct json_scan *s, const char *p, const char *end)
{
    switch ((enum json_state)s->state) {
    case VALUE:
    case VALUE_OR_CLOSE:
        if (is_space(*p)) return skip_space(p, end);
        if (s->depth && !in_object(s)) {
            const char *after = skip_plain_items(s, p, end);
            if (after > p) return after;
        }
        return read_value(s, p, end);
    case NAME_OR_CLOSE:
    case NAME: return is_space(*p) ? skip_space(p, end) : read_name(s, p);
    case COLON:
        if (is_space(*p)) return skip_space(p, end);
        if (*p != ':') return fail(s, p, "a colon was expected");
        s->state = VALUE;
        return p + 1;
    case AFTER: return is_space(*p) ? skip_space(p, end) : read_after(s, p);
    case STRING: return read_string(s, p, end);
    case ESCAPE: return read_escape(s, p);
    case HEX_1:
    case HEX_2:
    case HEX_3:
    case HEX_4: return read_hex(s, p);
    case UTF8: return read_utf8(s, p);
    case LITERAL: return read_literal(s, p);
    case FAILED: return p;
    default: return read_number(s, p);
    }
}

void json_scan_init(struct json_scan *s, unsigned max_depth)
{
    s->state = VALUE;
    s->utf8_left = 0;
    s->literal_pos = 0;
    s->literal = NULL;
    s->depth = 0;
    s->max_depth = max_depth < LIMIT_JSON_DEPTH ? max_depth : LIMIT_JSON_DEPTH;
    s->error = NULL;
}

enum json_scan_status json_scan_feed(struct json_scan *s, const char *data, size_t len, size_t *used)
{
    if (len == 0) data = "";
    const char *p = data, *end = data + len;
    for (;;) {
        if (s->state == AFTER && s->depth == 0) break;
        if (s->state == FAILED || p == end) break;
        p = step(s, p, end);
    }
    *used = (size_t)(p - data);
    if (s->state == FAILED) return JSON_SCAN_ERROR;
    return s->state == AFTER && s->depth == 0 ? JSON_SCAN_WHOLE : JSON_SCAN_MORE;
}

enum json_scan_status json_scan_finish(struct json_scan *s)
{
    bool number_may_end = s->state == ZERO || s->state == INT || s->state == FRACTION || s->state == EXP;
    if (s->depth == 0 && (s->state == AFTER || number_may_end)) {
        s->state = AFTER;
        return JSON_SCAN_WHOLE;
    }
    if (s->state != FAILED) fail(s, NULL, "the text ends too early");
    return JSON_SCAN_ERROR;
}

size_t json_text_length(const char *data, size_t len)
{
    if (len == 0) return 0;
    const char *p = data, *end = data + len;
    for (;;) {
        p = skip_plain(p, end);
        if (p == end || (unsigned char)*p < 0x80) break;
        const char *q = skip_utf8(p, end);
        if (q > p) {
            p = q;
            continue;
        }
        struct json_scan s = {.state = UTF8};
        if (!utf8_lead(&s, (unsigned char)*p)) break;
        for (q = p + 1; q < end && s.state == UTF8;) q = read_utf8(&s, q);
        if (s.state != STRING) break;
        p = q;
    }
    return (size_t)(p - data);
}
