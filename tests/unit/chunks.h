/* Chunks of a few items, and their answers. */
#ifndef FANTAIL_TEST_CHUNKS_H
#define FANTAIL_TEST_CHUNKS_H

#include <criterion/criterion.h>

#include "worker/chunk/chunk.h"

/* Returns a chunk whose body is complete. The items are checked. */
static inline struct chunk *chunk_of(const char *body)
{
    struct chunk_fault fault;
    struct chunk *c = chunk_new(true, strlen(body));
    cr_assert(chunk_add(c, body, strlen(body), &fault));
    cr_assert(chunk_finish(c, &fault));
    return c;
}

/* Pulls the answers of the chunk, and compares them. */
static inline void assert_answers(struct chunk *c, const char *expected)
{
    char got[4096] = "";
    ssize_t n = chunk_pull(c, got, sizeof got - 1);
    cr_assert_str_eq(n > 0 ? got : "", expected);
}

#endif
