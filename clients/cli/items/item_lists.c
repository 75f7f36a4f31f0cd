#include "cli/items/item_lists.h"

#include "cli/items/item_value.h"
#include "cli/records/record.h"

void item_lists_release(struct item_lists *l)
{
    for (unsigned i = 0; i < l->count; i++) free(l->lists[i].values);
    free(l->order);
    *l = (struct item_lists){0};
}

bool item_lists_begin(struct item_lists *l, bool linked)
{
    if (l->count == ITEM_LISTS_MAX) return false;
    l->lists[l->count] = (struct item_list){.linked = (linked || l->wraps) && l->count > 0};
    l->count++;
    return true;
}

void item_lists_add(struct item_lists *l, const char *data, size_t len)
{
    struct item_list *list = &l->lists[l->count - 1];
    if (list->count == list->alloc) {
        list->alloc = list->alloc ? 2 * list->alloc : 16;
        list->values = xrealloc(list->values, list->alloc * sizeof(*list->values));
    }
    list->values[list->count++] = (struct json_slice){data, len};
}

void item_lists_add_parts(struct item_lists *l, const char *data, size_t len, char separator)
{
    for (size_t at = 0, n; at < len; at += n + 1) {
        const char *part = data + at, *end = memchr(part, separator, len - at);
        n = end ? (size_t)(end - part) : len - at;
        size_t kept = n > 0 && l->text && !l->raw && separator == '\n' && part[n - 1] == '\r' ? n - 1 : n;
        if (l->text || !record_text_is_blank(part, kept)) item_lists_add(l, part, kept);
    }
}

void item_lists_filter(struct item_lists *l, const char *end, bool skip_blank)
{
    struct item_list *list = &l->lists[l->count - 1];
    size_t kept = 0, len = end ? strlen(end) : 0;
    for (size_t i = 0; i < list->count; i++) {
        struct json_slice value = list->values[i];
        if (end && value.len == len && memcmp(value.data, end, len) == 0) break;
        if (!skip_blank || !record_text_is_blank(value.data, value.len)) list->values[kept++] = value;
    }
    list->count = kept;
}

/* Lists that are linked to the list before them form a group with it. Returns the index after the last list of the
 * group that begins at `first`. */
static unsigned group_end(const struct item_lists *l, unsigned first)
{
    unsigned end = first + 1;
    while (end < l->count && l->lists[end].linked) end++;
    return end;
}

/* Returns the index of the first list of the group that has list `i`. */
static unsigned group_start(const struct item_lists *l, unsigned i)
{
    while (l->lists[i].linked) i--;
    return i;
}

/* Returns how many combinations the group has: the length of its shortest list or, with `wraps`, of its longest list.
 * If one of the lists is empty, returns 0. */
static size_t group_count(const struct item_lists *l, unsigned first)
{
    size_t least = l->lists[first].count, most = least;
    for (unsigned i = first + 1; i < group_end(l, first); i++) {
        size_t count = l->lists[i].count;
        least = count < least ? count : least;
        most = count > most ? count : most;
    }
    return l->wraps && least > 0 ? most : least;
}

static struct json_slice value_of(const struct item_lists *l, unsigned i)
{
    const struct item_list *list = &l->lists[i];
    return list->values[l->wraps ? l->at[i] % list->count : l->at[i]];
}

uint64_t item_lists_items(const struct item_lists *l)
{
    uint64_t items = l->count > 0;
    for (unsigned i = 0; i < l->count; i = group_end(l, i))
        if (__builtin_mul_overflow(items, group_count(l, i), &items)) items = UINT64_MAX;
    return items;
}

/* Goes to the combination that the random order has at l->index. */
static void seek(struct item_lists *l)
{
    if (l->index >= item_lists_items(l)) return;
    size_t number = l->order[l->index];
    for (unsigned end = l->count; end > 0;) {
        unsigned first = group_start(l, end - 1);
        size_t count = group_count(l, first);
        for (unsigned i = first; i < end; i++) l->at[i] = number % count;
        number /= count;
        end = first;
    }
}

/* The generator splitmix64. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

bool item_lists_shuffle(struct item_lists *l, uint64_t seed)
{
    uint64_t items = item_lists_items(l);
    if (items > ITEM_LISTS_SHUFFLED_MAX) return false;
    l->order = xcalloc(items + 1, sizeof *l->order);
    for (uint32_t i = 0; i < items; i++) l->order[i] = i;
    for (uint64_t i = items; i > 1; i--) {
        uint64_t other = next_random(&seed) % i;
        uint32_t swapped = l->order[i - 1];
        l->order[i - 1] = l->order[other];
        l->order[other] = swapped;
    }
    seek(l);
    return true;
}

/* Goes to the next item. Without a random order, advances the last group of linked lists. If this group was at its end,
 * it starts again, and the group before it advances. */
static void advance(struct item_lists *l)
{
    l->index++;
    if (l->order) {
        seek(l);
        return;
    }
    for (unsigned end = l->count; end > 0;) {
        unsigned first = group_start(l, end - 1);
        bool wraps = l->at[first] + 1 == group_count(l, first);
        for (unsigned i = first; i < end; i++) l->at[i] = wraps ? 0 : l->at[i] + 1;
        if (!wraps) return;
        end = first;
    }
}

bool item_lists_values(struct item_lists *l, struct json_slice values[ITEM_LISTS_MAX])
{
    if (l->index >= item_lists_items(l)) return false;
    for (unsigned i = 0; i < l->count; i++) values[i] = value_of(l, i);
    advance(l);
    return true;
}

void item_lists_drop_first(struct item_lists *l, unsigned i)
{
    struct item_list *list = &l->lists[i];
    memmove(list->values, list->values + 1, --list->count * sizeof *list->values);
}

bool item_lists_next(struct item_lists *l, struct buf *out)
{
    while (l->skip && done_set_has(l->skip, l->index)) advance(l);
    if (l->index >= item_lists_items(l)) return false;
    bool array = l->rows || l->count > 1;
    enum item_values values = l->raw ? ITEM_VALUES_RAW : l->text ? ITEM_VALUES_TEXT : ITEM_VALUES_JSON;
    if (array) buf_add_char(out, '[');
    if (l->rows) buf_add_u64(out, l->index);
    for (unsigned i = 0; i < l->count; i++) {
        if (l->rows || i > 0) buf_add_char(out, ',');
        item_value_add(out, values, value_of(l, i));
    }
    buf_add_str(out, array ? "]\n" : "\n");
    advance(l);
    return true;
}

struct json_slice item_lists_row_values(bool several, struct json_slice row, struct buf *out)
{
    const char *comma = row.len ? memchr(row.data, ',', row.len) : NULL;
    if (!comma || row.data[row.len - 1] != ']') return row;
    size_t at = (size_t)(comma + 1 - row.data);
    if (!several) return (struct json_slice){row.data + at, row.len - 1 - at};
    buf_clear(out);
    buf_add_char(out, '[');
    buf_add(out, row.data + at, row.len - at);
    return (struct json_slice){out->data, out->len};
}
