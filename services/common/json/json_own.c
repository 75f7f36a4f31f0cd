#include "common/json/json_own.h"

#include "common/base/buf.h"
#include "common/json/json_bytes.h"

#define MAX_NAMES 4096 /* limit on the names in one object, because each name is compared with all others */
#define MAX_DEPTH 8    /* the formats that fantail defines are not deeper; deeper levels are not checked */

struct checking {
    const char *text;
    size_t *offset;
    const char **error;
    bool deep;
};

static bool fail(const struct checking *c, const char *at, const char *error)
{
    *c->offset = (size_t)(at - c->text);
    *c->error = error;
    return false;
}

static unsigned hex4(const char *p)
{
    unsigned n = 0;
    for (int i = 0; i < 4; i++) n = n << 4 | (unsigned)(p[i] <= '9' ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
    return n;
}

/* Returns what is wrong with the \u escape at p; NULL: nothing. Sets *used to the length of the escape. If the escape
 * begins a surrogate pair, *used is set to the length of the pair. */
static const char *escape_fault(const char *p, const char *end, size_t *used)
{
    unsigned code = hex4(p + 2);
    *used = 6;
    if (code == 0) return "a string has the NUL character \\u0000";
    if (code < 0xD800 || code > 0xDFFF) return NULL;
    bool pair = code < 0xDC00 && end - p >= 12 && p[6] == '\\' && p[7] == 'u' && hex4(p + 8) >> 10 == 0xDC00 >> 10;
    *used = 12;
    return pair ? NULL : "a string has half of a surrogate pair, which UTF-8 cannot express";
}

const char *json_string_fault(struct json_slice string)
{
    const char *p = string.data, *end = p + string.len, *why = NULL;
    while (!why && (p = memchr(p, '\\', (size_t)(end - p)))) {
        size_t used = 2;
        if (p[1] == 'u') why = escape_fault(p, end, &used);
        p += used;
    }
    return why;
}

/* The decoded names of one object. In `text`, each name follows its length. */
struct names {
    struct buf text;
    unsigned count;
};

static const char *add_name(struct names *n, struct json_slice name)
{
    struct buf own = {0};
    const char *why = json_string_fault(name);
    if (!why && n->count == MAX_NAMES) why = "an object has too many members";
    if (why) return why;
    if (!json_string_decode(name, &own)) BUG("a member without a name");
    for (size_t at = 0, len; at < n->text.len && !why; at += sizeof len + len) {
        memcpy(&len, n->text.data + at, sizeof len);
        if (len == own.len && (len == 0 || memcmp(n->text.data + at + sizeof len, own.data, len) == 0))
            why = "an object has the same name twice";
    }
    buf_add(&n->text, &own.len, sizeof own.len);
    buf_add(&n->text, own.data, own.len);
    buf_release(&own);
    n->count++;
    return why;
}

static bool check_value(const struct checking *c, struct json_slice value, unsigned depth);

static bool check_members(const struct checking *c, struct json_slice value, unsigned depth)
{
    struct json_walk w;
    struct json_slice name, member;
    struct names names = {0};
    bool good = true;
    if (depth == MAX_DEPTH || !json_walk_init(&w, value.data, value.len)) return true;
    while (good && json_walk_next(&w, &name, &member)) {
        const char *why = name.len ? add_name(&names, name) : NULL;
        good = why ? fail(c, name.data, why) : !c->deep || check_value(c, member, depth + 1);
    }
    buf_release(&names.text);
    return good;
}

static bool check_value(const struct checking *c, struct json_slice value, unsigned depth)
{
    const char *why = value.data[0] == '"' ? json_string_fault(value) : NULL;
    if (why) return fail(c, value.data, why);
    return value.data[0] != '{' && value.data[0] != '[' ? true : check_members(c, value, depth);
}

static bool check(const char *text, size_t len, size_t *offset, const char **error, bool deep)
{
    struct checking c = {text, offset, error, deep};
    const char *begin = skip_space(text, text + len);
    return check_value(&c, (struct json_slice){begin, (size_t)(text + len - begin)}, 0);
}

bool json_own_check(const char *text, size_t len, size_t *offset, const char **error)
{
    return check(text, len, offset, error, true);
}

bool json_own_check_names(const char *text, size_t len, size_t *offset, const char **error)
{
    return check(text, len, offset, error, false);
}
