#include "cli/items/input_source.h"

#include <unistd.h>

void input_source_release(struct input_source *s)
{
    item_lists_release(&s->lists);
    for (size_t i = 0; i < ARRAY_SIZE(s->texts); i++) buf_release(&s->texts[i]);
    buf_release(&s->lines);
    record_source_release(&s->records);
    if (s->has_records) close(s->ready_fd);
    if (s->owns_fd) close(s->fd);
    *s = (struct input_source){.fd = -1};
}

int input_source_poll_fd(const struct input_source *s)
{
    return s->has_records && record_source_has_more(&s->records) ? s->ready_fd : s->fd;
}

bool input_source_has_several(const struct input_source *s)
{
    return s->has_records || s->lists.count > 1;
}

const char *input_source_fault(const struct input_source *s)
{
    return s->records.fault[0] ? s->records.fault : NULL;
}

static ssize_t read_bytes(struct input_source *s, char *data, size_t max)
{
    ssize_t n = read(s->fd, data, max);
    for (char *at = data, *end = data + (n > 0 ? n : 0); s->delimiter && at < end; at++) {
        at = memchr(at, s->delimiter, (size_t)(end - at));
        if (!at) break;
        *at = '\0';
    }
    return n;
}

ssize_t input_source_read(struct input_source *s, char *data, size_t max)
{
    if (s->has_records) return record_source_read(&s->records, s->fd, s->has_lists ? &s->lists : NULL, data, max);
    if (!s->has_lists) return read_bytes(s, data, max);
    buf_drop_front(&s->lines, s->used);
    while (s->lines.len < max && item_lists_next(&s->lists, &s->lines)) continue;
    s->used = s->lines.len < max ? s->lines.len : max;
    if (s->used) memcpy(data, s->lines.data, s->used);
    return (ssize_t)s->used;
}
