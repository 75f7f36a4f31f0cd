#include "common/net/prefer_header.h"

/* The parts of one preference. The pointers are borrowed from the header. */
struct preference {
    const char *name, *value;
    size_t name_len, value_len;
};

/* Returns the end of the element that begins at `at`. A comma in a quoted string does not end the element. */
static const char *end_of_element(const char *at)
{
    bool quoted = false;
    for (; *at && (quoted || *at != ','); at++) {
        if (quoted && *at == '\\' && at[1])
            at++;
        else if (*at == '"')
            quoted = !quoted;
    }
    return at;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct preference split(const char *at, const char *end)
{
    struct preference p = {0};
    while (at < end && is_blank(*at)) at++;
    p.name = at;
    while (at < end && !is_blank(*at) && *at != '=' && *at != ';') at++;
    p.name_len = (size_t)(at - p.name);
    while (at < end && is_blank(*at)) at++;
    if (at == end || *at != '=') return p;
    at++;
    while (at < end && is_blank(*at)) at++;
    if (at < end && *at == '"') at++;
    p.value = at;
    while (at < end && !is_blank(*at) && *at != '"' && *at != ';') at++;
    p.value_len = (size_t)(at - p.value);
    return p;
}

static bool is_named(const struct preference *p, const char *name)
{
    return p->name_len == strlen(name) && strncasecmp(p->name, name, p->name_len) == 0;
}

static void read_wait(struct preferences *all, const struct preference *p, unsigned most_s)
{
    uint64_t seconds = 0;
    if (all->waits || p->value_len == 0) return;
    for (size_t i = 0; i < p->value_len; i++) {
        if (p->value[i] < '0' || p->value[i] > '9') return;
        seconds = 10 * seconds + (uint64_t)(p->value[i] - '0');
        if (seconds > most_s) seconds = most_s;
    }
    all->waits = true;
    all->wait_s = (unsigned)seconds;
}

struct preferences preferences_read(const char *text, unsigned wait_most_s)
{
    struct preferences all = {0};
    for (const char *at = text, *end; *at; at = end + (*end == ',')) {
        end = end_of_element(at);
        struct preference p = split(at, end);
        if (is_named(&p, "respond-async")) all.respond_async = true;
        if (is_named(&p, "wait")) read_wait(&all, &p, wait_most_s);
    }
    return all;
}

void preferences_write(struct buf *out, const struct preferences *p)
{
    if (p->respond_async) buf_add_str(out, "respond-async");
    if (p->respond_async && p->waits) buf_add_str(out, ", ");
    if (p->waits) buf_addf(out, "wait=%u", p->wait_s);
}
