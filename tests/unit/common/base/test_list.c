#include <criterion/criterion.h>

#include "common/base/list.h"

struct entry {
    int value;
    struct list_link link;
};

static void expect(const struct list *l, const char *values)
{
    size_t n = 0;
    for (struct list_link *at = list_next(l, NULL); at; at = list_next(l, at), n++)
        cr_assert_eq(CONTAINER_OF(at, struct entry, link)->value, values[n] - '0');
    cr_assert_eq(n, strlen(values));
    cr_assert_eq(l->n, n);
}

Test(list, keeps_the_order_and_the_count)
{
    struct list l;
    struct entry e[4] = {{.value = 1}, {.value = 2}, {.value = 3}, {.value = 4}};
    list_init(&l);
    expect(&l, "");
    list_push_back(&l, &e[0].link);
    list_push_back(&l, &e[1].link);
    list_push_front(&l, &e[2].link);
    list_push_back(&l, &e[3].link);
    expect(&l, "3124");
    list_remove(&l, &e[1].link);
    expect(&l, "314");
    list_remove(&l, &e[2].link);
    list_remove(&l, &e[3].link);
    expect(&l, "1");
    list_remove(&l, &e[0].link);
    expect(&l, "");
}
