/* Which chunk gets the next turn. */
#include <criterion/criterion.h>

#include "unit/leaks.h"
#include "worker/chunk/turns.h"

static struct chunk *add(struct turns *t, const char *name, unsigned items)
{
    struct chunk *c = chunk_new(false, 0);
    struct chunk_fault fault;
    c->name = name;
    for (unsigned i = 0; i < items; i++) cr_assert(chunk_add(c, "1\n", 2, &fault));
    cr_assert(chunk_finish(c, &fault));
    turns_add(t, c);
    return c;
}

/* Takes one item of the chunk whose turn is next. Returns the name of the chunk, or "-" if there is none. */
static const char *turn(struct turns *t)
{
    struct chunk *c = turns_next(t);
    if (!c) return "-";
    run_answer(chunk_take(c, 1, SIZE_MAX), "{\"value\":1}\n", 12, 1);
    return c->name;
}

static void empty(struct turns *t)
{
    while (t->at) {
        struct chunk *c = t->at;
        turns_remove(t, c);
        chunk_unref(c);
    }
    assert_no_leaks();
}

Test(turns, jobs_take_turns_and_within_a_job_its_chunks_do)
{
    struct turns t = {0};
    add(&t, "big/0", 9);
    add(&t, "big/9", 9);
    add(&t, "big/18", 9);
    cr_assert_str_eq(turn(&t), "big/0");
    cr_assert_str_eq(turn(&t), "big/9");
    add(&t, "small/0", 3);
    static const char *const then[] = {"small/0", "big/18", "small/0", "big/0", "small/0", "big/9", "big/18"};
    for (size_t i = 0; i < ARRAY_SIZE(then); i++) cr_assert_str_eq(turn(&t), then[i], "turn %zu", i);
    empty(&t);
}

Test(turns, another_chunk_of_a_job_that_has_had_its_turn_is_not_first)
{
    struct turns t = {0};
    add(&t, "a/0", 5);
    add(&t, "b/0", 5);
    cr_assert_str_eq(turn(&t), "a/0");
    add(&t, "a/5", 5);
    cr_assert_str_eq(turn(&t), "b/0");
    cr_assert_str_eq(turn(&t), "a/5");
    empty(&t);
}

/* Adds a chunk of one job, which begins at the item `base`. */
static void add_of(struct turns *t, const char *job, const char *name, uint64_t base)
{
    struct chunk *c = add(t, name, 2);
    c->job = job;
    c->base = base;
}

Test(turns, items_that_start_in_their_order_come_from_the_oldest_job_and_its_first_chunk)
{
    struct turns t = {.in_order = true};
    add_of(&t, "01a", "01a/2", 2);
    add_of(&t, "01b", "01b/0", 0);
    add_of(&t, "01a", "01a/0", 0);
    static const char *const then[] = {"01a/0", "01a/0", "01a/2", "01a/2", "01b/0", "01b/0", "-"};
    for (size_t i = 0; i < ARRAY_SIZE(then); i++) cr_assert_str_eq(turn(&t), then[i], "turn %zu", i);
    empty(&t);
}

Test(turns, chunks_without_a_name_are_jobs_of_their_own_and_names_are_compared_whole)
{
    struct turns t = {0};
    add(&t, "", 2);
    add(&t, "", 2);
    add(&t, "job/0", 2);
    add(&t, "jobs/0", 2);
    unsigned named = 0;
    for (unsigned i = 0; i < 4; i++) named += turn(&t)[0] == 'j';
    cr_assert_eq(named, 2);
    for (unsigned i = 0; i < 4; i++) turn(&t);
    cr_assert_str_eq(turn(&t), "-");
    empty(&t);
}

Test(turns, removing_a_chunk_twice_does_nothing)
{
    struct turns t = {0};
    struct chunk *c = add(&t, "a/0", 1);
    turns_remove(&t, c);
    turns_remove(&t, c);
    cr_assert_null(t.at);
    cr_assert_eq(t.n, 0);
    chunk_unref(c);
}
