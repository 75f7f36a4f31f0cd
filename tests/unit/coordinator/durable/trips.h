/* Calls that are on their way to a store, or replies on the way back, oldest first. */
#ifndef FANTAIL_TEST_TRIPS_H
#define FANTAIL_TEST_TRIPS_H

#include <criterion/criterion.h>

#include "coordinator/store/store.h"

enum { CALLS_MAX = 512 };

struct trip {
    struct store_call *call;
    void (*done)(struct store_call *call);
    uint64_t due_ns;
};

struct trips {
    struct trip at[CALLS_MAX];
    size_t n;
};

static inline void trips_push(struct trips *t, struct store_call *call, void (*done)(struct store_call *),
                              uint64_t due_ns)
{
    cr_assert_lt(t->n, CALLS_MAX);
    t->at[t->n++] = (struct trip){call, done, due_ns};
}

static inline struct trip trips_pop(struct trips *t)
{
    struct trip first = t->at[0];
    memmove(&t->at[0], &t->at[1], --t->n * sizeof t->at[0]);
    return first;
}

#endif
