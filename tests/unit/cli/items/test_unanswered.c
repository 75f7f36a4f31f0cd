/* The items without an answer, when answers come in the order of completion. */
#include <criterion/criterion.h>

#include "cli/items/unanswered.h"

static void assert_batch(const struct batch *b, const char *wanted)
{
    cr_assert_eq(b->len, strlen(wanted), "%.*s", (int)b->len, b->data);
    cr_assert_arr_eq(b->data, wanted, b->len);
}

Test(unanswered, answered_lines_leave_the_batch_and_the_rest_keeps_its_places)
{
    char text[] = "10\n\n11\n12\n \n13\n14\n";
    struct batch b = {.data = text, .len = strlen(text), .first_line = 1};
    struct unanswered u = {0};
    unanswered_begin(&u, 5);
    cr_assert(unanswered_note(&u, 1) && unanswered_note(&u, 3));
    cr_assert_eq(unanswered_keep_rest(&u, &b, true, 0), 2);
    assert_batch(&b, "10\n\n12\n \n14\n");
    cr_assert_eq(b.first_line, 0);
    cr_assert(unanswered_place(&u, 0) == 0 && unanswered_place(&u, 1) == 2 && unanswered_place(&u, 2) == 4);
    unanswered_begin(&u, 3);
    cr_assert(unanswered_note(&u, 0));
    cr_assert_eq(unanswered_keep_rest(&u, &b, true, 0), 1);
    assert_batch(&b, "12\n \n14\n");
    cr_assert(unanswered_place(&u, 0) == 2 && unanswered_place(&u, 1) == 4);
    unanswered_clear(&u);
    cr_assert_eq(unanswered_place(&u, 1), 1);
    unanswered_release(&u);
}

Test(unanswered, items_before_and_after_the_attempt_are_told_apart)
{
    char text[] = "0\n1\n2\n3\n4\n";
    struct batch b = {.data = text, .len = strlen(text)};
    struct unanswered u = {0};
    unanswered_begin(&u, 2); /* the items 1 and 2; item 0 is answered, and 3 and 4 were not sent */
    cr_assert(unanswered_note(&u, 0));
    cr_assert_eq(unanswered_keep_rest(&u, &b, true, 1), 2);
    assert_batch(&b, "2\n3\n4\n");
    cr_assert_eq(unanswered_place(&u, 0), 2);
    unanswered_release(&u);
}

Test(unanswered, an_answer_counts_once_and_only_for_an_item_of_the_attempt)
{
    struct unanswered u = {0};
    cr_assert_not(unanswered_note(&u, 0));
    unanswered_begin(&u, 64);
    cr_assert(unanswered_has(&u, 63) && unanswered_note(&u, 63));
    cr_assert_not(unanswered_has(&u, 63));
    cr_assert_not(unanswered_note(&u, 63));
    cr_assert_not(unanswered_note(&u, 64));
    cr_assert_not(unanswered_note(&u, UINT64_MAX));
    unanswered_begin(&u, 64);
    cr_assert(unanswered_note(&u, 63));
    unanswered_release(&u);
}
