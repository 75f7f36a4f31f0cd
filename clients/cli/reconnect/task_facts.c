#include "cli/reconnect/task_facts.h"

#include "common/json/json_walk.h"

static bool is_the_name(struct json_slice value, const char *name, size_t len)
{
    return value.len == len + 2 && value.data[0] == '"' && memcmp(value.data + 1, name, len) == 0;
}

static enum idempotency idempotency_from(struct json_slice value)
{
    return value.data[0] == 't' ? IDEMPOTENCY_YES : value.data[0] == 'f' ? IDEMPOTENCY_NO : IDEMPOTENCY_UNSAID;
}

/* Adds the facts from one entry of the list of tasks. Returns false if the entry is about another task, or does not
 * come from a worker. */
static bool read_entry(struct task_facts *facts, struct json_slice entry, const char *name, size_t len)
{
    struct json_walk walk;
    struct json_slice member, value;
    bool named = false, described = false;
    struct task_facts one = {.idempotent = IDEMPOTENCY_UNSAID};
    if (!json_walk_init(&walk, entry.data, entry.len)) return false;
    while (json_walk_next(&walk, &member, &value)) {
        if (json_string_is(member, "name")) named = is_the_name(value, name, len);
        if (json_string_is(member, "mode")) described = true;
        if (json_string_is(member, "idempotent")) one.idempotent = idempotency_from(value);
        if (json_string_is(member, "slots")) one.slots = strtoull(value.data, NULL, 10);
    }
    if (!named || !described) return false;
    facts->idempotent = idempotency_of_both(facts->idempotent, one.idempotent);
    if (facts->slots == 0 || one.slots < facts->slots) facts->slots = one.slots;
    return true;
}

static bool read_list(struct task_facts *facts, struct json_slice list, const char *name, size_t len)
{
    struct json_walk walk;
    struct json_slice member, entry;
    if (!json_walk_init(&walk, list.data, list.len)) return false;
    while (json_walk_next(&walk, &member, &entry))
        if (read_entry(facts, entry, name, len)) return true;
    return false;
}

static bool find_list(struct json_slice *list, const char *json, size_t len)
{
    struct json_walk walk;
    struct json_slice member, value;
    if (!json_walk_init_checked(&walk, json, len)) return false;
    while (json_walk_next(&walk, &member, &value)) {
        if (!json_string_is(member, "tasks")) continue;
        *list = value;
        return true;
    }
    return false;
}

bool task_facts_read(struct task_facts *facts, const char *tasks, const char *json, size_t len)
{
    struct json_slice list;
    *facts = (struct task_facts){.idempotent = IDEMPOTENCY_YES};
    if (!find_list(&list, json, len)) return false;
    for (const char *name = tasks;; name++) {
        size_t name_len = strcspn(name, ",");
        if (!read_list(facts, list, name, name_len)) return false;
        name += name_len;
        if (!*name) return true;
    }
}

bool task_facts_lack(const char *task, const char *json, size_t len)
{
    struct json_slice list, entry, member, value;
    struct json_walk entries, members;
    unsigned others = 0;
    if (strchr(task, ',') || !find_list(&list, json, len) || !json_walk_init(&entries, list.data, list.len))
        return false;
    while (json_walk_next(&entries, NULL, &entry)) {
        if (!json_walk_init(&members, entry.data, entry.len)) return false;
        while (json_walk_next(&members, &member, &value)) {
            if (!json_string_is(member, "name")) continue;
            if (is_the_name(value, task, strlen(task))) return false;
            others++;
        }
    }
    return others > 0;
}
