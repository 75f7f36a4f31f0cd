/* The catalog combines the task lists of all workers. */
#include "coordinator/fleet/task_catalog.h"

#include <criterion/criterion.h>

#include "unit/leaks.h"

#define SAID(...) "{\"worker\":\"w\",\"slots\":2,\"tasks\":[" __VA_ARGS__ "]}"

struct set {
    struct catalog catalog;
    struct catalog_worker w[4];
};

static void set_init(struct set *s)
{
    *s = (struct set){0};
    catalog_init(&s->catalog, false);
}

static void say(struct set *s, unsigned worker, const char *text)
{
    cr_assert(catalog_worker_said(&s->catalog, &s->w[worker], text, strlen(text)), "%s", text);
}

static void leave(struct set *s, unsigned worker)
{
    catalog_worker_left(&s->catalog, &s->w[worker], NS_PER_S);
}

static void expect_document(struct set *s, const char *text)
{
    struct buf out = {0};
    catalog_write(&s->catalog, &out);
    cr_assert_str_eq(buf_cstr(&out), text);
    buf_release(&out);
}

static void set_over(struct set *s)
{
    for (unsigned i = 0; i < ARRAY_SIZE(s->w); i++) leave(s, i);
    catalog_release(&s->catalog);
    assert_no_leaks();
}

Test(task_catalog, it_lists_every_task_with_its_workers_and_their_slots)
{
    struct set s;
    struct buf names = {0};
    set_init(&s);
    expect_document(&s, "{\"workers\":0,\"tasks\":[]}\n");
    say(&s, 0, SAID("{\"name\":\"b\",\"mode\":\"exec\",\"description\":\"x\\\"y\",\"slots\":2,\"idempotent\":true}"));
    say(&s, 1,
        SAID("{\"name\":\"a\",\"mode\":\"native\",\"slots\":5,\"idempotent\":false},"
             "{\"name\":\"b\",\"mode\":\"exec\",\"slots\":3,\"idempotent\":true}"));
    expect_document(&s, "{\"workers\":2,\"tasks\":["
                        "{\"name\":\"a\",\"mode\":\"native\",\"idempotent\":false,\"workers\":1,\"slots\":5},"
                        "{\"name\":\"b\",\"mode\":\"exec\",\"idempotent\":true,\"workers\":2,\"slots\":5}]}\n");
    catalog_list_names(&s.catalog, &names);
    cr_assert_str_eq(buf_cstr(&names), "a and b");
    cr_assert_null(catalog_find(&s.catalog, "c"));
    buf_release(&names);
    set_over(&s);
}

Test(task_catalog, it_says_on_how_many_workers_processes_of_a_task_cannot_be_started)
{
    struct set s;
    set_init(&s);
    say(&s, 0, SAID("{\"name\":\"a\",\"signature\":\"x -> y\",\"slots\":2,\"idempotent\":true}"));
    say(&s, 1,
        SAID("{\"name\":\"a\",\"signature\":\"x -> y\",\"slots\":2,\"idempotent\":true,\"cannot_start\":\"no "
             "module\"}"));
    expect_document(&s, "{\"workers\":2,\"tasks\":["
                        "{\"name\":\"a\",\"signature\":\"x -> y\",\"idempotent\":true,\"workers\":2,\"slots\":4,"
                        "\"cannot_start\":{\"workers\":1,\"error\":\"no module\"}}]}\n");
    leave(&s, 1);
    expect_document(&s, "{\"workers\":1,\"tasks\":["
                        "{\"name\":\"a\",\"signature\":\"x -> y\",\"idempotent\":true,\"workers\":1,\"slots\":2}]}\n");
    set_over(&s);
}

Test(task_catalog, an_expected_task_is_there_before_a_worker_has_had_it)
{
    struct set s;
    set_init(&s);
    catalog_expect(&s.catalog, NULL);
    catalog_expect(&s.catalog, "z, b,,b");
    expect_document(&s, "{\"workers\":0,\"tasks\":["
                        "{\"name\":\"b\",\"idempotent\":null,\"workers\":0,\"slots\":0},"
                        "{\"name\":\"z\",\"idempotent\":null,\"workers\":0,\"slots\":0}]}\n");
    const struct catalog_task *b = catalog_find(&s.catalog, "b");
    cr_assert(b && b->runs);
    say(&s, 0, SAID("{\"name\":\"b\",\"slots\":2,\"idempotent\":true},{\"name\":\"z\",\"error\":\"no disk\"}"));
    b = catalog_find(&s.catalog, "b");
    cr_assert(b && b->runs && b->workers == 1 && b->slots == 2);
    cr_assert_eq(b->idempotent, IDEMPOTENCY_YES, "what a worker says counts, and not the expectation");
    const struct catalog_task *z = catalog_find(&s.catalog, "z");
    cr_assert(z && !z->runs);
    cr_assert_null(catalog_find(&s.catalog, "c"));
    set_over(&s);
}

Test(task_catalog, a_task_that_some_workers_cannot_run_says_on_how_many_and_why)
{
    struct set s;
    set_init(&s);
    say(&s, 0, SAID("{\"name\":\"a\",\"error\":\"no disk\"}"));
    say(&s, 1, SAID("{\"name\":\"a\",\"error\":\"no disk\"}"));
    cr_assert_not(catalog_find(&s.catalog, "a")->runs);
    expect_document(&s, "{\"workers\":2,\"tasks\":[{\"name\":\"a\",\"workers\":0,\"slots\":0,\"error\":\"no disk\","
                        "\"broken\":{\"workers\":2,\"error\":\"no disk\"}}]}\n");
    say(&s, 2, SAID("{\"name\":\"a\",\"slots\":2}"));
    cr_assert(catalog_find(&s.catalog, "a")->runs);
    expect_document(&s, "{\"workers\":3,\"tasks\":[{\"name\":\"a\",\"idempotent\":null,\"workers\":1,\"slots\":2,"
                        "\"broken\":{\"workers\":2,\"error\":\"no disk\"}}]}\n");
    leave(&s, 2);
    cr_assert_not(catalog_find(&s.catalog, "a")->runs, "the task list of a worker that has left does not count");
    set_over(&s);
}

Test(task_catalog, where_workers_disagree_the_careful_answer_counts)
{
    static const char *const yes = SAID("{\"name\":\"a\",\"idempotent\":true}");
    struct set s;
    set_init(&s);
    say(&s, 0, yes);
    cr_assert_eq(catalog_find(&s.catalog, "a")->idempotent, IDEMPOTENCY_YES);
    say(&s, 1, SAID("{\"name\":\"a\",\"idempotent\":null}"));
    cr_assert_eq(catalog_find(&s.catalog, "a")->idempotent, IDEMPOTENCY_UNSAID);
    say(&s, 2, SAID("{\"name\":\"a\",\"idempotent\":false}"));
    cr_assert_eq(catalog_find(&s.catalog, "a")->idempotent, IDEMPOTENCY_NO);
    say(&s, 1, yes);
    cr_assert_eq(catalog_find(&s.catalog, "a")->idempotent, IDEMPOTENCY_NO);
    say(&s, 2, yes);
    cr_assert_eq(catalog_find(&s.catalog, "a")->idempotent, IDEMPOTENCY_YES);
    set_over(&s);
}

Test(task_catalog, a_worker_that_cannot_be_reached_keeps_its_tasks_and_is_not_counted)
{
    struct set s;
    set_init(&s);
    say(&s, 0, SAID("{\"name\":\"a\",\"slots\":2}"));
    catalog_worker_reached(&s.catalog, &s.w[0], false);
    cr_assert_eq(s.catalog.reached, 0);
    cr_assert(catalog_find(&s.catalog, "a")->runs);
    cr_assert_eq(catalog_find(&s.catalog, "a")->workers, 0);
    catalog_worker_reached(&s.catalog, &s.w[0], true);
    cr_assert_eq(catalog_find(&s.catalog, "a")->slots, 2);
    set_over(&s);
}

Test(task_catalog, tasks_of_a_worker_that_went_away_are_remembered_for_a_week)
{
    struct set s;
    set_init(&s);
    say(&s, 0, SAID("{\"name\":\"a\",\"slots\":2}"));
    say(&s, 1, SAID("{\"name\":\"b\",\"slots\":2}"));
    leave(&s, 0);
    cr_assert(catalog_find(&s.catalog, "a")->runs);
    cr_assert_eq(catalog_find(&s.catalog, "a")->workers, 0);
    catalog_worker_left(&s.catalog, &s.w[1], (8ull * 24 * 3600) * NS_PER_S);
    cr_assert_null(catalog_find(&s.catalog, "a"));
    cr_assert_not_null(catalog_find(&s.catalog, "b"));
    set_over(&s);
}

Test(task_catalog, only_some_of_those_that_went_away_are_remembered)
{
    struct set s;
    set_init(&s);
    for (unsigned i = 0; i < 100; i++) {
        char text[80];
        snprintf(text, sizeof text, SAID("{\"name\":\"t%u\"}"), i);
        say(&s, 0, text);
        catalog_worker_left(&s.catalog, &s.w[0], NS_PER_S + i);
    }
    cr_assert_null(catalog_find(&s.catalog, "t60"));
    cr_assert_not_null(catalog_find(&s.catalog, "t99"));
    cr_assert_not_null(catalog_find(&s.catalog, "t70"));
    set_over(&s);
}

Test(task_catalog, a_task_that_a_worker_has_no_more_is_gone)
{
    struct set s;
    set_init(&s);
    say(&s, 0, SAID("{\"name\":\"a\"}"));
    say(&s, 0, SAID("{\"name\":\"b\"}"));
    cr_assert_null(catalog_find(&s.catalog, "a"));
    cr_assert_not_null(catalog_find(&s.catalog, "b"));
    set_over(&s);
}

Test(task_catalog, what_is_not_a_list_of_tasks_changes_nothing)
{
    static const char *const texts[] = {"",
                                        "{",
                                        "[]",
                                        "{\"tasks\":{}}",
                                        "null",
                                        "{\"tasks\":\"a\"}",
                                        "{\"tasks\":[],\"tasks\":[]}",
                                        "{\"tasks\":[{\"name\":\"a\\u0000b\"}]}"};
    struct set s;
    set_init(&s);
    say(&s, 0, SAID("{\"name\":\"a\"}"));
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        cr_assert_not(catalog_worker_said(&s.catalog, &s.w[0], texts[i], strlen(texts[i])), "%s", texts[i]);
    say(&s, 1, SAID("{\"name\":7},{},3,null,{\"name\":\"b\",\"slots\":-1,\"idempotent\":\"yes\",\"error\":3}"));
    cr_assert_not_null(catalog_find(&s.catalog, "a"));
    cr_assert_eq(catalog_find(&s.catalog, "b")->slots, 0);
    cr_assert_eq(catalog_find(&s.catalog, "b")->idempotent, IDEMPOTENCY_UNSAID);
    size_t n;
    catalog_tasks(&s.catalog, &n);
    cr_assert_eq(n, 2);
    set_over(&s);
}

Test(task_catalog, of_a_balancer_the_number_of_workers_is_not_known)
{
    struct set s;
    set_init(&s);
    s.catalog.balancer = true;
    say(&s, 0,
        SAID("{\"name\":\"a\",\"mode\":\"exec\",\"slots\":2,\"idempotent\":true},{\"name\":\"b\",\"error\":\"no\"}"));
    expect_document(&s, "{\"tasks\":[{\"name\":\"a\",\"mode\":\"exec\",\"idempotent\":true},"
                        "{\"name\":\"b\",\"error\":\"no\"}]}\n");
    set_over(&s);
}
