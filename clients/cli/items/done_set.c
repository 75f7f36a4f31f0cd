#include "cli/items/done_set.h"

void done_set_release(struct done_set *s)
{
    free(s->bits);
    *s = (struct done_set){0};
}

static void grow(struct done_set *s, size_t words)
{
    size_t doubled = s->words * 2, wanted = words > doubled ? words : doubled;
    s->bits = xrealloc(s->bits, wanted * sizeof(*s->bits));
    memset(s->bits + s->words, 0, (wanted - s->words) * sizeof(*s->bits));
    s->words = wanted;
}

bool done_set_add(struct done_set *s, uint64_t index)
{
    if (index >= DONE_SET_MAX) return false;
    if (index / 64 >= s->words) grow(s, (size_t)(index / 64 + 1));
    s->count += !done_set_has(s, index);
    s->bits[index / 64] |= UINT64_C(1) << (index % 64);
    return true;
}
