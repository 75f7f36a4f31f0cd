#include "coordinator/answers/item_error.h"

#include "common/json/json_walk.h"

/* The name of each member, and the value that is written if the task's error lacks the member. */
static const struct {
    const char *name, *otherwise;
} members[] = {
    {"name", "\"task_error\""}, {"cause", "\"the task gave no cause\""},
    {"signal", "null"},         {"exit_code", "null"},
    {"stderr", "\"\""},         {"worker", "null"},
};
enum { NAME, WORKER = ARRAY_SIZE(members) - 1 };

/* Returns the index of the member; ARRAY_SIZE(members) when it is unknown. */
static size_t find_member(struct json_slice name)
{
    size_t i = 0;
    while (i < ARRAY_SIZE(members) && !json_string_is(name, members[i].name)) i++;
    return i;
}

static void add_member(struct buf *out, struct json_slice name, struct json_slice value)
{
    buf_add(out, name.data, name.len);
    buf_add_char(out, ':');
    buf_add(out, value.data, value.len);
    buf_add_char(out, ',');
}

static bool is_a_name(struct json_slice value)
{
    return value.data[0] == '"' && !json_string_is(value, "");
}

void item_error_write(struct buf *out, const struct answer_line *line, unsigned attempts, const char *worker)
{
    struct json_walk w;
    struct json_slice name, value;
    bool seen[ARRAY_SIZE(members) + 1] = {0};
    buf_add_str(out, "{\"error\":{");
    if (!json_walk_init(&w, line->body, line->body_len)) BUG("an error that is not an object");
    while (json_walk_next(&w, &name, &value)) {
        size_t member = find_member(name);
        if (member == NAME && (seen[NAME] || !is_a_name(value))) continue;
        if (member == WORKER && worker) continue;
        if (json_string_is(name, "attempts")) continue;
        seen[member] = true;
        add_member(out, name, value);
    }
    for (size_t i = 0; i < WORKER; i++)
        if (!seen[i]) buf_addf(out, "\"%s\":%s,", members[i].name, members[i].otherwise);
    buf_addf(out, "\"attempts\":%u", attempts);
    if (worker) {
        buf_add_str(out, ",\"worker\":");
        buf_add_json_string(out, worker, strlen(worker));
    } else if (!seen[WORKER]) {
        buf_addf(out, ",\"worker\":%s", members[WORKER].otherwise);
    }
    buf_add_str(out, "}}\n");
}

void item_error_write_own(struct buf *out, enum item_error error, const char *cause, unsigned attempts, bool sent)
{
    buf_addf(out, "{\"error\":{\"name\":\"%s\",\"cause\":", item_error_name(error));
    buf_add_json_string(out, cause, strlen(cause));
    buf_addf(out, ",\"signal\":null,\"exit_code\":null,\"stderr\":\"\",\"attempts\":%u,\"worker\":null", attempts);
    if (error == ITEM_CANCELLED || error == ITEM_DEADLINE_EXCEEDED)
        buf_addf(out, ",\"sent\":%s", sent ? "true" : "false");
    buf_add_str(out, "}}\n");
}

static bool has_name(const char *line, size_t len, enum item_error error)
{
    char start[64];
    size_t n = (size_t)snprintf(start, sizeof start, "{\"error\":{\"name\":\"%s\"", item_error_name(error));
    return len > n && memcmp(line, start, n) == 0;
}

bool item_error_is_unanswered(const char *line, size_t len)
{
    return has_name(line, len, ITEM_CANCELLED) || has_name(line, len, ITEM_DEADLINE_EXCEEDED);
}
