#include <criterion/criterion.h>

#include "common/base/memory_room.h"
#include "unit/leaks.h"
#include "worker/chunk/handover.h"

enum { STEP_BYTES = 1000, LONG_BYTES = 300000 };

static struct chunk_fault fault;

static struct chunk *chunk_of(const char *body)
{
    struct chunk *c = chunk_new(false, 0);
    cr_assert(chunk_add(c, body, strlen(body), &fault));
    cr_assert(chunk_finish(c, &fault));
    return c;
}

static void answer(struct chunk *c, const char *line)
{
    run_answer(chunk_take(c, 1, SIZE_MAX), line, strlen(line), 1);
}

static void answer_long(struct chunk *c)
{
    struct buf line = {0};
    struct line_queue lines = {0};
    buf_add_str(&line, "{\"value\":\"");
    while (line.len < LONG_BYTES) buf_add_char(&line, 'x');
    buf_add_str(&line, "\"}\n");
    line_queue_take(&lines, &line, 0);
    run_take_answers(chunk_take(c, 1, SIZE_MAX), &lines, 1);
}

Test(handover, no_step_hands_over_more_than_its_share_of_a_long_value)
{
    struct chunk *from = chunk_of("1\n2\n3\n"), *to = chunk_new(false, 0);
    struct handover h = {.from = from, .to = to};
    unsigned steps = 0;
    answer(from, "{\"value\":1}\n");
    answer_long(from);
    answer(from, "{\"value\":3}\n");
    for (bool more = true; more; steps++) {
        size_t before = to->items.len;
        more = handover_step(&h, STEP_BYTES);
        cr_assert_leq(to->items.len - before, STEP_BYTES + 100);
    }
    cr_assert_geq(steps, LONG_BYTES / STEP_BYTES);
    cr_assert_eq(to->received, 3);
    cr_assert(to->whole);
    cr_assert_eq(to->items.len, 2 + (LONG_BYTES - strlen("{\"value\":") + 2) + 2);
    cr_assert_eq(memcmp(to->items.data, "1\n\"xxx", 6), 0);
    cr_assert_eq(memcmp(to->items.data + to->items.len - 6, "xx\"\n3\n", 6), 0);
    chunk_unref(from);
    chunk_unref(to);
    assert_no_leaks();
}

Test(handover, many_short_answers_are_shared_among_steps_too)
{
    enum { ITEMS = 2000 };
    struct buf body = {0}, lines = {0};
    for (int i = 0; i < ITEMS; i++) buf_add_str(&body, "1\n");
    for (int i = 0; i < ITEMS; i++) buf_add_str(&lines, "{\"value\":1}\n");
    struct chunk *from = chunk_of(buf_cstr(&body)), *to = chunk_new(false, 0);
    struct handover h = {.from = from, .to = to};
    run_answer(chunk_take(from, ITEMS, SIZE_MAX), lines.data, lines.len, ITEMS);
    for (bool more = true; more;) {
        uint64_t before = to->received;
        more = handover_step(&h, STEP_BYTES);
        cr_assert_leq(to->received - before, STEP_BYTES / 12 + 1);
    }
    cr_assert_eq(to->received, ITEMS);
    chunk_unref(from);
    chunk_unref(to);
    buf_release(&body);
    buf_release(&lines);
    assert_no_leaks();
}

Test(handover, an_error_is_the_last_answer_of_its_item_and_a_drain_goes_on)
{
    char got[200] = "";
    struct chunk *from = chunk_of("1\n2\n"), *to = chunk_new(false, 0);
    struct handover h = {.from = from, .to = to};
    answer(from, "{\"error\":{\"name\":\"task_error\"}}\n");
    from->draining = true;
    chunk_settle(from);
    cr_assert_not(handover_step(&h, STEP_BYTES));
    cr_assert(chunk_pull(to, got, sizeof got - 1) > 0);
    cr_assert_str_eq(got, "{\"error\":{\"name\":\"task_error\"}}\n{\"end\":\"draining\",\"done\":1}\n");
    chunk_unref(from);
    chunk_unref(to);
    assert_no_leaks();
}

static bool has_no_memory(size_t bytes)
{
    return false;
}

Test(handover, a_value_that_does_not_fit_into_memory_fails_its_item_and_other_items_go_on)
{
    bool (*kernel)(size_t) = memory_probe;
    char got[300] = "";
    struct chunk *from = chunk_of("1\n2\n3\n"), *to = chunk_new(false, 0);
    struct handover h = {.from = from, .to = to};
    answer(from, "{\"value\":1}\n");
    answer_long(from);
    answer(from, "{\"value\":3}\n");
    memory_probe = has_no_memory;
    while (handover_step(&h, STEP_BYTES)) continue;
    memory_probe = kernel;
    cr_assert_eq(to->received, 3);
    cr_assert_eq(to->items.len, 4);
    cr_assert_eq(memcmp(to->items.data, "1\n3\n", 4), 0);
    answer(to, "{\"value\":10}\n");
    answer(to, "{\"value\":30}\n");
    while (chunk_pull(to, got + strlen(got), sizeof got - 1 - strlen(got)) > 0) continue;
    cr_assert_str_eq(got, "{\"value\":10}\n"
                          "{\"error\":{\"name\":\"out_of_memory\",\"cause\":\"the worker has reached its memory limit, "
                          "and the value needs more memory\"}}\n{\"value\":30}\n{\"end\":\"complete\",\"done\":3}\n");
    chunk_unref(from);
    chunk_unref(to);
    assert_no_leaks();
}
