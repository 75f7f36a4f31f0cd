#include <criterion/criterion.h>

#include "common/base/hash.h"
#include "unit/leaks.h"

enum { LINKS = 10000 };

struct number {
    struct hash_link link;
    unsigned n;
};

static struct number numbers[LINKS];

static uint64_t hash_of(unsigned n)
{
    return hash_bytes((const char *)&n, sizeof n);
}

static struct number *find(struct hash_table *t, unsigned n)
{
    for (struct hash_link *at = NULL; (at = hash_find(t, hash_of(n), at));) {
        struct number *one = CONTAINER_OF(at, struct number, link);
        if (one->n == n) return one;
    }
    return NULL;
}

Test(hash, what_was_added_is_found_until_it_is_removed_with_few_steps)
{
    struct hash_table t = {0};
    cr_assert_null(find(&t, 1));
    for (unsigned i = 0; i < LINKS; i++) {
        numbers[i].n = i;
        hash_add(&t, &numbers[i].link, hash_of(i));
    }
    for (unsigned i = 0; i < LINKS; i++) cr_assert_eq(find(&t, i), &numbers[i]);
    for (unsigned i = 0; i < LINKS; i += 2) hash_remove(&t, &numbers[i].link);
    for (unsigned i = 0; i < LINKS; i++) cr_assert_eq(find(&t, i), i % 2 ? &numbers[i] : NULL);
    cr_assert_eq(t.n, LINKS / 2);
    cr_assert_leq(t.steps, 6 * LINKS);
    hash_release(&t);
    assert_no_leaks();
}

Test(hash, links_with_equal_hashes_come_newest_first_also_after_the_table_has_grown)
{
    struct hash_table t = {0};
    for (unsigned i = 0; i < 100; i++) {
        numbers[i].n = i;
        hash_add(&t, &numbers[i].link, i % 2);
    }
    unsigned expected = 99;
    for (struct hash_link *at = NULL; (at = hash_find(&t, 1, at)); expected -= 2)
        cr_assert_eq(CONTAINER_OF(at, struct number, link)->n, expected);
    cr_assert_eq(expected, UINT32_MAX);
    hash_release(&t);
    assert_no_leaks();
}
