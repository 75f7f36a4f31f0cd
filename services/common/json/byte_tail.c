#include "common/json/byte_tail.h"

void byte_tail_init(struct byte_tail *t, size_t most)
{
    *t = (struct byte_tail){.most = most};
}

void byte_tail_release(struct byte_tail *t)
{
    buf_release(&t->bytes);
}

void byte_tail_clear(struct byte_tail *t)
{
    buf_clear(&t->bytes);
    t->total = 0;
}

void byte_tail_add(struct byte_tail *t, const char *data, size_t len)
{
    t->total += len;
    if (len > t->most) {
        data += len - t->most;
        len = t->most;
    }
    if (t->bytes.len + len > 2 * t->most) buf_drop_front(&t->bytes, t->bytes.len + len - t->most);
    buf_add(&t->bytes, data, len);
}

const char *byte_tail_get(const struct byte_tail *t, size_t *len)
{
    *len = t->bytes.len < t->most ? t->bytes.len : t->most;
    return *len ? t->bytes.data + t->bytes.len - *len : "";
}
