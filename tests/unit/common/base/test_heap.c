#include <criterion/criterion.h>

#include "common/base/heap.h"
#include "common/base/random.h"
#include "unit/leaks.h"

#define N 500

struct entry {
    struct heap_node node;
    bool expected;
};

static uint64_t smallest(const struct entry *entries)
{
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < N; i++)
        if (entries[i].expected && entries[i].node.key < least) least = entries[i].node.key;
    return least;
}

Test(heap, the_first_is_the_smallest_whatever_is_set_changed_and_removed)
{
    struct heap h = {0};
    struct random_source r = {7};
    static struct entry entries[N];
    cr_assert_null(heap_first(&h));
    for (unsigned step = 0; step < 5000; step++) {
        struct entry *e = &entries[random_below(&r, N)];
        e->expected = random_below(&r, 3) > 0;
        if (e->expected)
            heap_set(&h, &e->node, random_below(&r, 1000));
        else
            heap_remove(&h, &e->node);
        struct heap_node *first = heap_first(&h);
        cr_assert_eq(first ? first->key : UINT64_MAX, smallest(entries));
        cr_assert_eq(e->node.place != 0, e->expected);
    }
    heap_release(&h);
    assert_no_leaks();
}

Test(heap, gives_all_keys_in_order)
{
    struct heap h = {0};
    struct random_source r = {3};
    struct heap_node nodes[N] = {{0}}, *first;
    for (unsigned i = 0; i < N; i++) heap_set(&h, &nodes[i], random_u64(&r));
    uint64_t before = 0;
    for (unsigned i = 0; i < N; i++) {
        first = heap_first(&h);
        cr_assert_geq(first->key, before);
        before = first->key;
        heap_remove(&h, first);
    }
    cr_assert_null(heap_first(&h));
    heap_release(&h);
    assert_no_leaks();
}
