#include "cli/http/query.h"

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-_.~,", c));
}

void query_add(struct buf *path, const char *name, const char *value)
{
    bool has_query = path->len && memchr(path->data, '?', path->len);
    buf_addf(path, "%c%s=", has_query ? '&' : '?', name);
    for (; *value; value++)
        if (is_plain(*value))
            buf_add_char(path, *value);
        else
            buf_addf(path, "%%%02X", (unsigned)(unsigned char)*value);
}

void query_add_number(struct buf *path, const char *name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    query_add(path, name, text);
}
