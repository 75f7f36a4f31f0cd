#include "cli/items/input_source.h"

#include <unistd.h>

void input_source_release(struct input_source *s)
{
    item_lists_release(&s->lists);
    for (size_t i = 0; i < ARRAY_SIZE(s->texts); i++) buf_release(&s->texts[i]);
    buf_release(&s->lines);
    if (s->owns_fd) close(s->fd);
    *s = (struct input_source){.fd = -1};
}

ssize_t input_source_read(struct input_source *s, char *data, size_t max)
{
    if (!s->has_lists) return read(s->fd, data, max);
    buf_drop_front(&s->lines, s->used);
    while (s->lines.len < max && item_lists_next(&s->lists, &s->lines)) continue;
    s->used = s->lines.len < max ? s->lines.len : max;
    if (s->used) memcpy(data, s->lines.data, s->used);
    return (ssize_t)s->used;
}
