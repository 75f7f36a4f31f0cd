#include "cli/items/unanswered.h"

#include <stdlib.h>

void unanswered_release(struct unanswered *u)
{
    free(u->noted);
    free(u->places);
    *u = (struct unanswered){0};
}

void unanswered_clear(struct unanswered *u)
{
    free(u->places);
    u->places = NULL;
    u->place_count = 0;
    u->count = 0;
}

void unanswered_begin(struct unanswered *u, uint64_t count)
{
    size_t words = (size_t)(count / 64 + 1);
    if (words > u->alloc) {
        u->noted = xrealloc(u->noted, words * sizeof(*u->noted));
        u->alloc = words;
    }
    memset(u->noted, 0, words * sizeof(*u->noted));
    u->count = count;
}

bool unanswered_has(const struct unanswered *u, uint64_t index)
{
    return index < u->count && !(u->noted[index / 64] & UINT64_C(1) << index % 64);
}

bool unanswered_note(struct unanswered *u, uint64_t index)
{
    if (!unanswered_has(u, index)) return false;
    u->noted[index / 64] |= UINT64_C(1) << index % 64;
    return true;
}

uint64_t unanswered_place(const struct unanswered *u, uint64_t index)
{
    return u->places && index < u->place_count ? u->places[index] : index;
}

uint64_t unanswered_keep_rest(struct unanswered *u, struct batch *b, bool skip_blank, uint64_t base)
{
    uint64_t total = batch_count(b, skip_blank), kept = 0, at = 0;
    uint32_t *places = xcalloc((size_t)total + 1, sizeof(*places));
    size_t offset = 0, len = 0;
    for (uint64_t i = 0; i < total; i++) {
        size_t from = batch_seek(b, skip_blank, i, &at, &offset), to = batch_seek(b, skip_blank, i + 1, &at, &offset);
        bool answered = i < base || (i - base < u->count && !unanswered_has(u, i - base));
        if (answered) continue;
        places[kept++] = (uint32_t)unanswered_place(u, i);
        memmove(b->data + len, b->data + from, to - from);
        len += to - from;
    }
    free(u->places);
    u->places = places;
    u->place_count = (size_t)kept;
    u->count = 0;
    b->len = len;
    b->first_line = 0; /* the lines between the items are gone */
    return total - kept;
}
