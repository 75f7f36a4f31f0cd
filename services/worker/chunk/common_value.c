#include "worker/chunk/common_value.h"

static struct common_value *with_room(size_t len)
{
    struct common_value *v = xmalloc(sizeof *v + len);
    v->refs = 1;
    v->len = len;
    return v;
}

struct common_value *common_value_from_lines(const char *lines, size_t len)
{
    struct common_value *v = with_room(len);
    memcpy(v->lines, lines, len);
    return v;
}

struct common_value *common_value_new(const char *json, size_t len)
{
    static const char prefix[] = "#common ";
    size_t prefix_len = sizeof prefix - 1;
    struct common_value *v = with_room(prefix_len + len + 1);
    memcpy(v->lines, prefix, prefix_len);
    memcpy(v->lines + prefix_len, json, len);
    v->lines[v->len - 1] = '\n';
    return v;
}

struct common_value *common_value_ref(struct common_value *v)
{
    if (v) v->refs++;
    return v;
}

void common_value_unref(struct common_value *v)
{
    if (v && --v->refs == 0) free(v);
}

bool common_value_equal(const struct common_value *a, const struct common_value *b)
{
    if (a == b || !a || !b) return a == b;
    return a->len == b->len && memcmp(a->lines, b->lines, a->len) == 0;
}
