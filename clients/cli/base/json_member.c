#include "cli/base/json_member.h"

#include "common/json/json_walk.h"

bool json_member_read(const char *json, size_t len, const char *name, struct buf *out)
{
    struct json_walk walk;
    struct json_slice key, value;
    if (!json_walk_init_checked(&walk, json, len)) return false;
    while (json_walk_next(&walk, &key, &value)) {
        if (!json_string_is(key, name)) continue;
        if (value.data[0] == '"') return json_string_decode(value, out);
        return buf_add(out, value.data, value.len);
    }
    return false;
}
