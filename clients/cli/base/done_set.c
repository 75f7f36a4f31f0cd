#include "cli/base/done_set.h"

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

/* Returns how many indexes of a word are not in the set. */
static uint64_t left_in(const struct done_set *s, size_t word)
{
    return 64 - (uint64_t)__builtin_popcountll(s->bits[word]);
}

uint64_t done_set_nth_left(const struct done_set *s, uint64_t n, struct done_place *at)
{
    while (n < at->before) at->before -= left_in(s, --at->word);
    while (at->word < s->words && n - at->before >= left_in(s, at->word)) at->before += left_in(s, at->word++);
    uint64_t rest = n - at->before, first = (uint64_t)at->word * 64;
    if (at->word == s->words) return first + rest;
    uint64_t left = ~s->bits[at->word];
    while (rest-- > 0) left &= left - 1; /* removes the lowest bit */
    return first + (uint64_t)__builtin_ctzll(left);
}

uint64_t done_set_count_below(const struct done_set *s, uint64_t end)
{
    uint64_t whole = end / 64 < s->words ? end / 64 : s->words, count = 0;
    for (uint64_t i = 0; i < whole; i++) count += (uint64_t)__builtin_popcountll(s->bits[i]);
    if (whole < s->words) count += (uint64_t)__builtin_popcountll(s->bits[whole] & ((UINT64_C(1) << (end % 64)) - 1));
    return count;
}
