#include "cli/map/result_line.h"

#include "common/json/json_walk.h"
#include "protocol/protocol.h"

static struct json_slice unquoted(struct json_slice s)
{
    if (s.len >= 2 && s.data[0] == '"') return (struct json_slice){s.data + 1, s.len - 2};
    return s;
}

static bool slice_is(struct json_slice s, const char *text)
{
    return s.len == strlen(text) && memcmp(s.data, text, s.len) == 0;
}

static enum result_kind kind_of(struct json_slice type)
{
    static const struct {
        const char *name;
        enum result_kind kind;
    } kinds[] = {{"result", RESULT_VALUE}, {"error", RESULT_ERROR}, {"end", RESULT_END}, {"waiting", RESULT_WAITING}};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (slice_is(type, kinds[i].name)) return kinds[i].kind;
    return RESULT_OTHER;
}

/* For each kind, the member that becomes `body`. */
static const char *const body_names[] = {
    [RESULT_VALUE] = "value", [RESULT_ERROR] = "error", [RESULT_END] = "status", [RESULT_WAITING] = "reason"};

static void read_counts(struct result_line *r, struct json_slice counts)
{
    struct json_walk walk;
    struct json_slice name, value;
    if (!json_walk_init(&walk, counts.data, counts.len)) return;
    while (json_walk_next(&walk, &name, &value)) {
        if (json_string_is(name, "total")) r->total = strtoull(value.data, NULL, 10);
        if (json_string_is(name, "failed")) r->failed = strtoull(value.data, NULL, 10);
    }
}

static void read_member(struct result_line *r, struct json_slice name, struct json_slice value)
{
    if (json_string_is(name, "index")) {
        r->has_index = true;
        r->index = strtoull(value.data, NULL, 10);
        return;
    }
    if (r->kind == RESULT_ERROR && json_string_is(name, "count")) r->count = strtoull(value.data, NULL, 10);
    if (json_string_is(name, "processes")) r->processes = strtoull(value.data, NULL, 10);
    if (r->kind == RESULT_END && json_string_is(name, "counts")) read_counts(r, value);
    if (r->kind == RESULT_END && json_string_is(name, "reason")) r->why = value;
    if (r->kind == RESULT_END && json_string_is(name, "hint")) r->hint = value;
    if (r->kind == RESULT_END && json_string_is(name, "draining")) r->draining = slice_is(value, "true");
    if ((size_t)r->kind >= ARRAY_SIZE(body_names) || !json_string_is(name, body_names[r->kind])) return;
    if (r->kind == RESULT_END || r->kind == RESULT_WAITING) value = unquoted(value);
    r->body = value.data;
    r->len = value.len;
}

struct result_line result_line_read_slowly(const char *line, size_t len)
{
    struct result_line r = {.kind = RESULT_BAD, .count = 1};
    struct json_walk walk;
    struct json_slice name, value;
    if (!json_walk_init_checked(&walk, line, len)) return r;
    /* Every coordinator writes "type" first. */
    if (!json_walk_next(&walk, &name, &value) || !json_string_is(name, "type")) return r;
    r.kind = kind_of(unquoted(value));
    while (json_walk_next(&walk, &name, &value)) read_member(&r, name, value);
    bool needs_body = r.kind <= RESULT_END;
    if (needs_body && !r.body) r.kind = RESULT_BAD;
    return r;
}

enum result_cut result_line_cut(const struct result_line *r)
{
    struct json_walk walk;
    struct json_slice name, value;
    bool cancelled = false;
    enum result_cut cut = RESULT_NOT_CUT;
    if (r->kind != RESULT_ERROR || !r->has_index || !json_walk_init(&walk, r->body, r->len)) return RESULT_NOT_CUT;
    while (json_walk_next(&walk, &name, &value)) {
        if (json_string_is(name, "name")) cancelled = json_string_is(value, item_error_name(ITEM_CANCELLED));
        if (json_string_is(name, "sent")) cut = slice_is(value, "false") ? RESULT_CUT_UNSENT : RESULT_CUT_SENT;
    }
    return cancelled ? cut : RESULT_NOT_CUT;
}
