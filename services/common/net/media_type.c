#include "common/net/media_type.h"

#include <strings.h>

static const char *skip_space(const char *s)
{
    return s + strspn(s, " \t");
}

/* Returns the length of the type at the start of a text. The type ends before parameters, white space or the next
 * entry. */
static size_t type_length(const char *text)
{
    return strcspn(text, " \t;,");
}

static bool is(const char *text, size_t len, const char *word)
{
    return strlen(word) == len && strncasecmp(text, word, len) == 0;
}

static bool drop_prefix(const char **text, size_t *len, const char *prefix)
{
    size_t n = strlen(prefix);
    if (*len < n || strncasecmp(*text, prefix, n) != 0) return false;
    *text += n;
    *len -= n;
    return true;
}

static enum media_form form_of(const char *type, size_t len)
{
    static const struct {
        const char *subtype;
        enum media_form form;
    } forms[] = {{"json", MEDIA_JSON},        {"ndjson", MEDIA_NDJSON},     {"jsonl", MEDIA_NDJSON},
                 {"jsonlines", MEDIA_NDJSON}, {"json-lines", MEDIA_NDJSON}, {"ldjson", MEDIA_NDJSON}};
    if (is(type, len, "text/plain")) return MEDIA_TEXT;
    if (is(type, len, "application/x-www-form-urlencoded")) return MEDIA_FORM;
    if (!drop_prefix(&type, &len, "application/") && !drop_prefix(&type, &len, "text/")) return MEDIA_OTHER;
    drop_prefix(&type, &len, "x-");
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
        if (is(type, len, forms[i].subtype)) return forms[i].form;
    return MEDIA_OTHER;
}

enum media_form media_type_form(const char *content_type)
{
    if (!content_type || !*skip_space(content_type)) return MEDIA_NONE;
    const char *type = skip_space(content_type);
    size_t len = type_length(type);
    char after = *skip_space(type + len);
    return after == '\0' || after == ';' ? form_of(type, len) : MEDIA_OTHER;
}

bool media_type_is(const char *content_type, const char *type)
{
    if (!content_type) return false;
    size_t len = type_length(content_type);
    return content_type[len] != ',' && is(content_type, len, type);
}

/* Returns the end of a parameter's value, which may be quoted. */
static const char *value_end(const char *value)
{
    if (*value != '"') return value + strcspn(value, " \t;,");
    for (value++; *value && *value != '"'; value++)
        if (*value == '\\' && value[1]) value++;
    return *value ? value + 1 : value;
}

/* Returns the value of the parameter `name`, without quotes, and sets *len to its length. The parameters are between
 * `s` and `end`. Returns NULL if none of them has this name. */
static const char *find_parameter(const char *s, const char *end, const char *name, size_t *len)
{
    while (s < end && (s = memchr(s, ';', (size_t)(end - s))) != NULL) {
        s = skip_space(s + 1);
        size_t n = strcspn(s, "=; \t,\"");
        if (s[n] != '=') continue;
        const char *value = s + n + 1, *after = value_end(value);
        bool found = is(s, n, name);
        s = after;
        if (!found) continue;
        bool quoted = *value == '"' && after - value >= 2;
        *len = (size_t)(after - value) - 2u * quoted;
        return value + quoted;
    }
    return NULL;
}

bool media_type_is_utf8(const char *content_type, char charset[MEDIA_CHARSET_SIZE])
{
    static const char *const good[] = {"utf-8", "utf8", "us-ascii", "ascii"};
    size_t len;
    const char *name =
        content_type ? find_parameter(content_type, content_type + strlen(content_type), "charset", &len) : NULL;
    if (!name) return true;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        if (is(name, len, good[i])) return true;
    snprintf(charset, MEDIA_CHARSET_SIZE, "%.*s", (int)(len < MEDIA_CHARSET_SIZE ? len : MEDIA_CHARSET_SIZE), name);
    return false;
}

/* Returns the value of q in one entry, whose parameters begin at `s`. If the entry has no q, returns 1. */
static double read_q(const char *s, const char *end)
{
    size_t len;
    const char *q = find_parameter(s, end, "q", &len);
    return q ? strtod(q, NULL) : 1;
}

/* Returns the highest q of the entries that name the form, or 0 if no entry names it. */
static double q_of(const char *list, enum media_form form)
{
    double best = 0;
    for (const char *at = list; *at;) {
        const char *end = at + strcspn(at, ",");
        at = skip_space(at);
        double q = form_of(at, type_length(at)) == form ? read_q(at, end) : 0;
        if (q > best) best = q;
        at = *end ? end + 1 : end;
    }
    return best;
}

bool media_type_prefers(const char *accept, enum media_form form, enum media_form other)
{
    if (!accept) return false;
    double q = q_of(accept, form);
    return q > 0 && q >= q_of(accept, other);
}
