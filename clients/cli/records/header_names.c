#include "cli/records/header_names.h"

void header_names_release(struct header_names *h)
{
    record_release(&h->names);
}

void header_names_add(struct header_names *h, const struct input_record *r)
{
    for (size_t i = 0; i < r->count; i++) {
        struct json_slice name = record_value(r, i);
        record_add(&h->names, name.data, name.len);
    }
}

static bool is_same(struct json_slice a, struct json_slice b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

size_t header_names_repeated(const struct header_names *h)
{
    for (size_t i = 1; i < h->names.count; i++)
        for (size_t earlier = 0; earlier < i; earlier++)
            if (is_same(record_value(&h->names, i), record_value(&h->names, earlier))) return i;
    return h->names.count;
}

/* Returns the length of the end of a placeholder at `at`, with its brace; 0: there is none. */
static size_t ending_length(const char *at)
{
    static const char *const endings[] = {"}", ".}", "/}", "//}", "/.}"};
    for (size_t i = 0; i < ARRAY_SIZE(endings); i++)
        if (strncmp(at, endings[i], strlen(endings[i])) == 0) return strlen(endings[i]);
    return 0;
}

/* If the text begins with a name and the end of a placeholder, appends the number of the column and this end. Returns
 * the length of the name and the end in the text; 0: the text does not begin in this way. */
static size_t add_number(const struct header_names *h, const char *text, struct buf *out)
{
    for (size_t i = 0; i < h->names.count; i++) {
        struct json_slice name = record_value(&h->names, i);
        if (name.len == 0 || strncmp(text, name.data, name.len) != 0) continue;
        size_t ending = ending_length(text + name.len);
        if (!ending) continue;
        buf_add_u64(out, i + 1);
        buf_add(out, text + name.len, ending);
        return name.len + ending;
    }
    return 0;
}

char *header_names_number(const struct header_names *h, const char *word)
{
    struct buf out = {0};
    bool found = false;
    for (const char *at = word; *at;) {
        buf_add_char(&out, *at);
        if (*at++ != '{') continue;
        size_t n = add_number(h, at, &out);
        found = found || n > 0;
        at += n;
    }
    buf_add_char(&out, '\0');
    if (found) return buf_detach(&out, NULL);
    buf_release(&out);
    return NULL;
}
