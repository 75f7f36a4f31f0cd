/* Functions for the tests of the splitter: they feed bodies to the splitter. */
#ifndef FANTAIL_TESTS_UNIT_COORDINATOR_ITEMS_SPLITTER_HARNESS_H
#define FANTAIL_TESTS_UNIT_COORDINATOR_ITEMS_SPLITTER_HARNESS_H

#include <criterion/criterion.h>

#include "coordinator/items/splitter.h"

#define WHOLE SIZE_MAX

/* Feeds the body to an initialised splitter in pieces, and ends the body. Each piece has its own allocation. */
static inline enum split_status feed_in_pieces(struct splitter *s, const char *body, size_t len, size_t piece)
{
    enum split_status status = SPLIT_OK;
    for (size_t at = 0; at < len && status == SPLIT_OK;) {
        size_t n = len - at < piece ? len - at : piece;
        char *copy = xmalloc(n);
        memcpy(copy, body + at, n);
        status = splitter_feed(s, copy, n);
        free(copy);
        at += n;
    }
    return status == SPLIT_OK ? splitter_finish(s) : status;
}

/* Initialises the splitter, then works like feed_in_pieces(). */
static inline enum split_status split_into(struct splitter *s, enum split_format format, const char *body, size_t len,
                                           size_t piece)
{
    splitter_init(s, format, 0);
    return feed_in_pieces(s, body, len, piece);
}

static inline void assert_sane(const struct splitter *s)
{
    uint64_t lines = 0;
    for (size_t i = 0; i < s->items.len; i++) lines += s->items.data[i] == '\n';
    cr_assert_eq(lines, s->items_in_buf);
    cr_assert_eq(lines, s->item_count);
    cr_assert(s->items.len == 0 || s->items.data[s->items.len - 1] == '\n');
}

static const size_t pieces[] = {WHOLE, 1, 2, 3, 7};

#endif
