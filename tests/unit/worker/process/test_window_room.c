/* Which items a process may get, and how their slot time is measured. */
#include "unit/chunks.h"
#include "unit/leaks.h"
#include "worker/process/window.h"

static void on_progress(struct chunk *c)
{
}

static struct intake take_in(struct window *w, const char *text, uint64_t now)
{
    return window_intake(w, text, strlen(text), now, on_progress);
}

Test(window_room, the_limit_doubles_while_items_are_quick_and_falls_to_one_after_a_slow_one)
{
    struct window w;
    struct buf body = {0};
    for (int i = 0; i < 4000; i++) buf_add_str(&body, "1\n");
    struct chunk *c = chunk_of(buf_cstr(&body));
    uint64_t now = 1000, last = 0;
    window_init(&w, FORM_TRUSTED, 1);
    for (int round = 0; round < 6; round++) {
        uint64_t room = window_room(&w, now);
        cr_assert_eq(room, UINT64_C(1) << round);
        window_push(&w, chunk_take(c, room, SIZE_MAX), now);
        for (last = room; room; room--) cr_assert_null(take_in(&w, "{\"value\":1}\n", now += 1000).fault);
    }
    cr_assert_eq(last, 32);
    window_push(&w, chunk_take(c, 1, SIZE_MAX), now);
    take_in(&w, "{\"value\":1}\n", now += 50 * NS_PER_MS);
    cr_assert_eq(window_room(&w, now), 1);
    chunk_unref(c);
    buf_release(&body);
    assert_no_leaks();
}

Test(window_room, a_process_that_takes_batches_has_a_batch_and_room_for_the_next_one_whatever_the_time_of_an_item)
{
    struct window w;
    struct buf body = {0};
    for (int i = 0; i < 40; i++) buf_add_str(&body, "1\n");
    struct chunk *c = chunk_of(buf_cstr(&body));
    uint64_t now = 1000;
    window_init(&w, FORM_TRUSTED, 8);
    cr_assert_eq(window_room(&w, now), 16);
    window_push(&w, chunk_take(c, 8, SIZE_MAX), now);
    cr_assert_eq(window_room(&w, now + NS_PER_S), 8);
    for (int i = 0; i < 8; i++) take_in(&w, "{\"value\":1}\n", now + NS_PER_S);
    cr_assert_eq(c->cost.slot_ns, 8 * NS_PER_S, "each item of the batch has had a slot for all this time");
    cr_assert_eq(window_room(&w, now + NS_PER_S), 16);
    window_push(&w, chunk_take(c, 16, SIZE_MAX), now + NS_PER_S);
    cr_assert_eq(window_room(&w, now + NS_PER_S), 0);
    run_return(window_pop(&w), NULL, 0);
    window_release(&w);
    chunk_unref(c);
    buf_release(&body);
    assert_no_leaks();
}

Test(window_room, a_batch_may_have_large_items)
{
    struct window w;
    window_init(&w, FORM_TRUSTED, 8);
    cr_assert_eq(window_room_bytes(&w), WINDOW_BATCH_BYTES / 2);
    w.bytes = WINDOW_MAX_BYTES;
    cr_assert_eq(window_room(&w, 0), 16);
    w.bytes = WINDOW_BATCH_BYTES;
    cr_assert_eq(window_room(&w, 0), 0);
    window_init(&w, FORM_TRUSTED, 1);
    cr_assert_eq(window_room_bytes(&w), WINDOW_MAX_BYTES / 2);
    w.bytes = WINDOW_MAX_BYTES;
    cr_assert_eq(window_room(&w, 0), 0);
}

Test(window_room, nothing_is_given_while_the_current_item_takes_long)
{
    struct window w;
    struct chunk *c = chunk_of("1\n2\n");
    window_init(&w, FORM_TRUSTED, 1);
    w.limit = 1000;
    window_push(&w, chunk_take(c, 1, SIZE_MAX), 0);
    cr_assert_gt(window_room(&w, 1000), 0);
    cr_assert_eq(window_room(&w, NS_PER_S), 0);
    run_return(window_pop(&w), NULL, 0);
    chunk_unref(c);
    assert_no_leaks();
}

static uint64_t slot_ns_after(uint64_t now, uint64_t waited_ns, uint64_t ran_ns)
{
    struct window w;
    struct chunk *c = chunk_of("1\n");
    window_init(&w, FORM_TRUSTED, 1);
    window_push(&w, chunk_take(c, 1, SIZE_MAX), 0);
    w.waited_ns = waited_ns;
    w.ran_ns = ran_ns;
    cr_assert_null(take_in(&w, "{\"value\":1}\n", now).fault);
    uint64_t slot_ns = c->cost.slot_ns;
    window_release(&w);
    chunk_unref(c);
    return slot_ns;
}

Test(window_room, waits_are_measured_when_the_process_has_been_busy_for_a_while)
{
    struct window w;
    struct chunk *c = chunk_of("1\n2\n3\n");
    window_init(&w, FORM_TRUSTED, 1);
    window_push(&w, chunk_take(c, 1, SIZE_MAX), 1000);
    cr_assert_not(window_should_measure_wait(&w, 1000 + WINDOW_SHORT_NS - 1));
    window_push(&w, chunk_take(c, 1, SIZE_MAX), 1000 + WINDOW_SHORT_NS / 2);
    cr_assert_null(take_in(&w, "{\"value\":1}\n", 1000 + WINDOW_SHORT_NS - 1).fault);
    cr_assert(window_should_measure_wait(&w, 1000 + WINDOW_SHORT_NS), "there was no break");
    cr_assert_null(take_in(&w, "{\"value\":2}\n", 1000 + WINDOW_SHORT_NS).fault);
    window_push(&w, chunk_take(c, 1, SIZE_MAX), 2000 + WINDOW_SHORT_NS);
    cr_assert_not(window_should_measure_wait(&w, 2000 + WINDOW_SHORT_NS), "the window was empty");
    cr_assert_null(take_in(&w, "{\"value\":3}\n", 2000 + WINDOW_SHORT_NS).fault);
    window_release(&w);
    chunk_unref(c);
    assert_no_leaks();
}

Test(window_room, waiting_for_a_processor_is_no_slot_time)
{
    cr_assert_eq(slot_ns_after(1000, 0, 300), 1000);
    cr_assert_eq(slot_ns_after(1000, 600, 300), 400);
    cr_assert_eq(slot_ns_after(1000, 900, 300), 300, "the item took at least as long as its process ran");
    cr_assert_eq(slot_ns_after(1000, 5000, 300), 300);
    cr_assert_eq(slot_ns_after(1000, 5000, 9000), 1000, "the process ran before the item began, too");
    assert_no_leaks();
}
