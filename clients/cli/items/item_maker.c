#include "cli/items/item_maker.h"

void item_maker_release(struct item_maker *m)
{
    buf_release(&m->held);
    free(m->ends);
    *m = (struct item_maker){0};
}

static bool is_grouped(const struct item_maker *m)
{
    return m->group_max || m->length_max;
}

bool item_maker_has_several(const struct item_maker *m)
{
    return m->columns || m->names || is_grouped(m);
}

/* Adds the record as one JSON value. In a row, adds the values of the record with commas between them. */
static void add_record(const struct item_maker *m, const struct input_record *r, struct buf *out)
{
    bool object = m->names && !m->rows, array = !m->rows && !object && (m->columns || r->count > 1);
    if (object || array) buf_add_char(out, object ? '{' : '[');
    for (size_t i = 0; i < r->count; i++) {
        if (i > 0) buf_add_char(out, ',');
        if (object) {
            struct json_slice name = record_value(&m->names->names, i);
            buf_add_json_string(out, name.data, name.len);
            buf_add_char(out, ':');
        }
        item_value_add(out, m->values, record_value(r, i));
    }
    if (object || array) buf_add_char(out, object ? '}' : ']');
}

/* Appends the item of the held records from `from` up to `to`. */
static void add_item(struct item_maker *m, size_t from, size_t to, struct buf *out)
{
    uint64_t index = m->index++;
    size_t start = from ? m->ends[from - 1] + 1 : 0; /* after the comma */
    if (m->skip && done_set_has(m->skip, index)) return;
    bool array = m->rows || is_grouped(m);
    if (array) buf_add_char(out, '[');
    if (m->rows) {
        buf_add_u64(out, index);
        buf_add_char(out, ',');
    }
    buf_add(out, m->held.data + start, m->ends[to - 1] - start);
    buf_add_str(out, array ? "]\n" : "\n");
}

/* Appends the held records as items of up to `each` records. */
static void add_items(struct item_maker *m, size_t each, struct buf *out)
{
    for (size_t from = 0, to; from < m->count; from = to) {
        to = from + each < m->count ? from + each : m->count;
        add_item(m, from, to, out);
    }
    buf_clear(&m->held);
    m->count = m->held_length = 0;
}

static void hold(struct item_maker *m, const struct input_record *r, size_t length)
{
    if (m->count == m->alloc) {
        m->alloc = m->alloc ? 2 * m->alloc : 16;
        m->ends = xrealloc(m->ends, m->alloc * sizeof *m->ends);
    }
    if (m->count > 0) buf_add_char(&m->held, ',');
    add_record(m, r, &m->held);
    m->ends[m->count++] = m->held.len;
    m->held_length += length;
}

void item_maker_add(struct item_maker *m, const struct input_record *r, struct buf *out)
{
    size_t length = m->length_max ? line_length_of(&m->length, r) : 0;
    bool fits = m->length.fixed + m->held_length + length <= m->length_max;
    if (m->length_max && m->count > 0 && !fits) add_items(m, m->count, out);
    hold(m, r, length);
    if (!is_grouped(m) || m->count == m->group_max) add_items(m, m->count, out);
}

void item_maker_end(struct item_maker *m, struct buf *out)
{
    size_t shares = m->shares ? m->shares : 1;
    add_items(m, (m->count + shares - 1) / shares, out);
}
