/* The cap on the number of processes that run items: waiting tasks take turns to get free slots. */
#include <criterion/criterion.h>

#include "worker/chunk/slot_cap.h"

enum { MAX = 4 };

/* A task with items that wait, and with items that run. */
struct user {
    struct slot_user slots;
    unsigned waiting, running, offers;
};

static struct slot_cap cap;

static void feed(struct user *u)
{
    while (u->waiting > 0 && slot_user_may_take(&u->slots)) {
        u->waiting--;
        u->running++;
        slot_user_set(&u->slots, u->running);
    }
}

static void on_offer(struct slot_user *slots)
{
    struct user *u = CONTAINER_OF(slots, struct user, slots);
    u->offers++;
    feed(u);
}

static void start(struct user *u, unsigned n)
{
    for (unsigned i = 0; i < n; i++) slot_user_init(&u[i].slots, &cap, on_offer);
}

static void add(struct user *u, unsigned items)
{
    u->waiting += items;
    feed(u);
}

static void end_one(struct user *u)
{
    u->running--;
    slot_user_set(&u->slots, u->running);
    feed(u);
    slot_cap_offer(&cap);
}

Test(slot_cap, no_more_run_than_the_cap_allows)
{
    struct user u[3] = {0};
    slot_cap_init(&cap, MAX);
    start(u, 3);
    for (unsigned i = 0; i < 3; i++) add(&u[i], 10);
    for (unsigned ended = 0; ended < 30; ended++) {
        cr_assert_eq(cap.used, u[0].running + u[1].running + u[2].running);
        cr_assert_eq(cap.used, ended < 30 - MAX ? MAX : 30 - ended);
        for (unsigned i = 0; i < 3; i++)
            if (u[i].running) {
                end_one(&u[i]);
                break;
            }
    }
    cr_assert_eq(slot_cap_free(&cap), MAX);
    cr_assert_eq(cap.waiting.n, 0);
}

Test(slot_cap, a_task_with_few_items_gets_the_next_free_slot)
{
    struct user u[2] = {0};
    slot_cap_init(&cap, MAX);
    start(u, 2);
    add(&u[0], 100);
    cr_assert_eq(u[0].running, MAX);
    cr_assert(slot_user_may_keep(&u[0].slots)); /* only this task waits */
    add(&u[1], 1);
    cr_assert_eq(u[1].running, 0);
    cr_assert_not(slot_user_may_keep(&u[0].slots));
    end_one(&u[0]); /* u[0] also waits, and began to wait earlier, but u[1] gets the slot */
    cr_assert_eq(u[1].running, 1);
    cr_assert_eq(u[0].running, MAX - 1);
    cr_assert(slot_user_may_keep(&u[0].slots));
}

Test(slot_cap, slots_go_round_among_the_tasks)
{
    struct user u[3] = {0};
    unsigned ran[3] = {0};
    slot_cap_init(&cap, 1);
    start(u, 3);
    for (unsigned i = 0; i < 3; i++) add(&u[i], 1000);
    for (unsigned n = 0; n < 300; n++)
        for (unsigned i = 0; i < 3; i++)
            if (u[i].running) {
                ran[i]++;
                end_one(&u[i]);
                break;
            }
    for (unsigned i = 0; i < 3; i++) cr_assert(ran[i] >= 99 && ran[i] <= 101);
}

Test(slot_cap, a_task_that_cannot_use_an_offer_does_not_hold_up_the_others)
{
    struct user u[3] = {0};
    slot_cap_init(&cap, 1);
    start(u, 3);
    for (unsigned i = 0; i < 3; i++) add(&u[i], 1);
    u[1].waiting = 0; /* as if its job had been cancelled */
    end_one(&u[0]);
    cr_assert_eq(u[1].offers, 1);
    cr_assert_eq(u[2].running, 1);
    slot_user_release(&u[2].slots);
    cr_assert_eq(cap.used, 0);
    slot_user_release(&u[1].slots);
    add(&u[0], 1);
    cr_assert_eq(u[0].running, 1);
}

Test(slot_cap, without_a_cap_everything_may_run)
{
    struct user u = {0};
    slot_user_init(&u.slots, NULL, on_offer);
    add(&u, 1000);
    cr_assert_eq(u.running, 1000);
    cr_assert(slot_user_may_keep(&u.slots));
    slot_cap_offer(NULL);
    slot_user_release(&u.slots);
}
