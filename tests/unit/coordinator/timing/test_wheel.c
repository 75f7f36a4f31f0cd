#include <criterion/criterion.h>

#include "common/base/random.h"
#include "coordinator/timing/wheel.h"

enum { N = 300, TICK = 10 };

struct entry {
    struct wheel_node node;
    bool expected;
    uint64_t due_ns;
};

static struct entry entries[N];
static unsigned came;

static void count(struct wheel_node *node, uint64_t now)
{
    struct entry *e = CONTAINER_OF(node, struct entry, node);
    cr_assert(e->expected);
    cr_assert_leq(e->due_ns, now);
    e->expected = false;
    came++;
}

static void expect_nothing_overdue(uint64_t now)
{
    for (unsigned i = 0; i < N; i++) {
        if (entries[i].expected) cr_assert_gt(entries[i].due_ns + TICK, now - now % TICK);
        cr_assert_eq(entries[i].node.slot != NULL, entries[i].expected);
    }
}

Test(wheel, each_node_comes_once_and_within_a_tick_of_its_instant)
{
    struct wheel w;
    struct random_source r = {7};
    uint64_t now = 12345;
    wheel_init(&w, TICK, now);
    for (unsigned step = 0; step < 20000; step++) {
        struct entry *e = &entries[random_below(&r, N)];
        e->expected = random_below(&r, 4) > 0;
        e->due_ns = now + random_below(&r, 3 * WHEEL_SLOTS * TICK);
        if (e->expected)
            wheel_set(&w, &e->node, e->due_ns);
        else
            wheel_remove(&e->node);
        bool pause = random_below(&r, 100) == 0; /* sometimes the clock moves by up to two turns of the wheel */
        now += random_below(&r, pause ? 2 * WHEEL_SLOTS * TICK : TICK);
        wheel_run(&w, now, count);
        expect_nothing_overdue(now);
    }
    cr_assert_gt(came, 1000);
}

static struct wheel repeated;

static void set_again(struct wheel_node *node, uint64_t now)
{
    came++;
    wheel_set(&repeated, node, 0);
}

Test(wheel, a_node_that_is_set_again_to_the_past_comes_at_the_next_tick)
{
    struct wheel_node node = {0};
    wheel_init(&repeated, TICK, 0);
    wheel_set(&repeated, &node, 5);
    for (uint64_t now = 0; now < 100 * TICK; now += TICK / 2) wheel_run(&repeated, now, set_again);
    cr_assert_eq(came, 99);
}

static unsigned looks;

static void look(struct wheel_node *node, uint64_t now)
{
    looks++;
    wheel_set(&repeated, node, now + 1000 * TICK);
}

Test(wheel, nodes_that_are_due_much_later_are_left_alone)
{
    static struct wheel_node nodes[N];
    wheel_init(&repeated, TICK, 0);
    for (unsigned i = 0; i < N; i++) wheel_set(&repeated, &nodes[i], 1000 * TICK);
    for (uint64_t now = 0; now < 2000 * TICK; now += TICK) wheel_run(&repeated, now, look);
    cr_assert_eq(looks, N);
}
