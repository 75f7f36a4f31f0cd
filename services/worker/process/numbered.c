#include "worker/process/numbered.h"

#include "common/json/json_own.h"
#include "common/json/json_scan.h"
#include "common/json/json_walk.h"

#define ID_DIGITS 18

void numbered_add_before(struct buf *b, uint64_t id)
{
    buf_add_str(b, "{\"id\":");
    buf_add_u64(b, id);
    buf_add_str(b, ",\"item\":");
}

size_t numbered_item_bytes(const char *line, size_t len)
{
    return len >= 2 && line[len - 2] == '\r' ? len - 2 : len - 1;
}

void numbered_add_items(struct buf *b, const char *items, size_t len, uint64_t first_id)
{
    const char *end = items + len;
    for (uint64_t n = first_id; items < end; n++) {
        const char *newline = memchr(items, '\n', (size_t)(end - items));
        if (!newline) BUG("an item without its newline");
        numbered_add_before(b, n);
        buf_add(b, items, numbered_item_bytes(items, (size_t)(newline + 1 - items)));
        buf_add_str(b, NUMBERED_AFTER);
        items = newline + 1;
    }
}

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r')) at++;
    return at;
}

/* Skips `token` and the white space around it, and returns the position after them. Returns NULL if there is no `token`
 * at `at`, or if `at` is NULL. */
static const char *expect(const char *at, const char *end, const char *token)
{
    size_t len = strlen(token);
    if (!at) return NULL;
    at = skip_space(at, end);
    if ((size_t)(end - at) < len || memcmp(at, token, len) != 0) return NULL;
    return skip_space(at + len, end);
}

const char *numbered_read_id(const char *at, const char *end, uint64_t *id)
{
    const char *start = at;
    uint64_t n = 0;
    while (at < end && *at >= '0' && *at <= '9' && at - start < ID_DIGITS) n = n * 10 + (uint64_t)(*at++ - '0');
    if (at == start || (at < end && *at >= '0' && *at <= '9')) return NULL;
    *id = n;
    return at;
}

/* Reads the start of a line whose members are in the usual order, the id first. Returns where the value begins, or
 * NULL. If the result is NULL, `a` may hold the id. */
static const char *read_usual_start(const char *line, const char *end, struct numbered_line *a)
{
    const char *at = expect(expect(expect(line, end, "{"), end, "\"id\""), end, ":");
    if (at) at = numbered_read_id(at, end, &a->id);
    at = expect(at, end, ",");
    if (!at) return NULL;
    a->kind = NUMBERED_BAD;
    return expect(expect(at, end, "\"value\""), end, ":");
}

bool numbered_find_value(const char *line, size_t len, uint64_t *id, size_t *offset)
{
    struct numbered_line a = {0};
    const char *at = read_usual_start(line, line + len, &a);
    if (!at || at == line + len) return false;
    *id = a.id;
    *offset = (size_t)(at - line);
    return true;
}

/* Reads a line whose members are in the usual order. If the result is false, `a` may hold the id. */
static bool parse_usual(const char *line, const char *end, struct numbered_line *a)
{
    const char *at = read_usual_start(line, end, a);
    if (!at) return false;
    a->body = at;
    a->body_len = json_value_length(at, (size_t)(end - at));
    if (a->body_len == 0 || expect(at + a->body_len, end, "}") != end) return false;
    a->kind = NUMBERED_VALUE;
    return true;
}

static struct numbered_line parse_any(const char *line, size_t len, struct numbered_line a)
{
    size_t offset;
    const char *why;
    struct json_walk w;
    struct json_slice name, value;
    unsigned kinds = 0;
    if (!json_valid(line, len, &offset, &why) || !json_walk_init(&w, line, len)) return a;
    if (!json_own_check_names(line, len, &offset, &why)) return a;
    a.kind = NUMBERED_STRAY;
    enum numbered_kind kind = NUMBERED_BAD;
    while (json_walk_next(&w, &name, &value)) {
        bool is_value = json_string_is(name, "value"), is_error = json_string_is(name, "error");
        if (json_string_is(name, "id") &&
            numbered_read_id(value.data, value.data + value.len, &a.id) == value.data + value.len)
            a.kind = NUMBERED_BAD;
        if (!is_value && !is_error) continue;
        kinds++;
        if (is_value) kind = NUMBERED_VALUE;
        if (is_error && value.data[0] == '{' && json_own_check_names(value.data, value.len, &offset, &why))
            kind = NUMBERED_ERROR;
        a.body = value.data;
        a.body_len = value.len;
    }
    if (a.kind == NUMBERED_BAD && kinds == 1) a.kind = kind;
    return a;
}

struct numbered_line numbered_parse(const char *line, size_t len)
{
    struct numbered_line a = {.kind = NUMBERED_STRAY};
    return parse_usual(line, line + len, &a) ? a : parse_any(line, len, a);
}
