#include "cli/map/error_counts.h"

#include "cli/report/count.h"
#include "cli/base/json_member.h"
#include "protocol/protocol.h"

/* Reads the name without a copy if the object has the usual form, {"name":"crashed",...}. A large run may have millions
 * of failures. */
static bool read_usual(const char *error, size_t len, const char **name, size_t *name_len)
{
    static const char head[] = "{\"name\":\"";
    size_t at = sizeof head - 1;
    if (len <= at || memcmp(error, head, at) != 0) return false;
    size_t end = at;
    while (end < len && error[end] != '"' && error[end] != '\\') end++;
    *name = error + at;
    *name_len = end - at;
    return end < len && error[end] == '"';
}

static struct error_count *find(struct error_counts *c, const char *name, size_t len)
{
    for (size_t i = 0; i < c->names_n; i++)
        if (strlen(c->names[i].name) == len && memcmp(c->names[i].name, name, len) == 0) return &c->names[i];
    if (c->names_n == ERROR_NAMES_MAX || len == 0 || len >= ERROR_NAME_SIZE) return NULL;
    struct error_count *added = &c->names[c->names_n++];
    memcpy(added->name, name, len);
    return added;
}

void error_counts_add(struct error_counts *c, const char *error, size_t len)
{
    const char *name;
    size_t name_len;
    struct buf text = {0};
    if (!read_usual(error, len, &name, &name_len)) {
        bool named = json_member_read(error, len, "name", &text);
        name = named ? buf_cstr(&text) : "";
        name_len = named ? strlen(name) : 0;
    }
    struct error_count *count = find(c, name, name_len);
    if (count)
        count->n++;
    else
        c->others++;
    buf_release(&text);
}

/* Appends the count of one name to the list, unless the count is 0. */
static void write_count(struct buf *out, uint64_t n, const char *name, bool *is_first)
{
    if (n == 0) return;
    if (!*is_first) buf_add_str(out, ", ");
    count_add(out, n);
    buf_addf(out, " %s", name);
    *is_first = false;
}

static int compare_counts(const void *a, const void *b)
{
    const struct error_count *x = a, *y = b;
    if (x->n != y->n) return x->n > y->n ? -1 : 1;
    return strcmp(x->name, y->name);
}

void error_counts_write(const struct error_counts *c, uint64_t cancelled, struct buf *out)
{
    struct error_counts sorted = *c;
    bool is_first = true;
    for (size_t i = 0; i < sorted.names_n; i++)
        if (strcmp(sorted.names[i].name, item_error_name(ITEM_CANCELLED)) == 0) sorted.names[i].n -= cancelled;
    qsort(sorted.names, sorted.names_n, sizeof sorted.names[0], compare_counts);
    for (size_t i = 0; i < sorted.names_n; i++) write_count(out, sorted.names[i].n, sorted.names[i].name, &is_first);
    write_count(out, sorted.others, "other", &is_first);
}
