#include <criterion/criterion.h>

#include "unit/leaks.h"
#include "worker/chunk/line_queue.h"

static void append(void *text, const char *lines, size_t len)
{
    buf_add(text, lines, len);
}

static void assert_holds(struct line_queue *q, const char *expected)
{
    struct buf text = {0};
    line_queue_each(q, append, &text);
    cr_assert_str_eq(buf_cstr(&text), expected);
    cr_assert_eq(q->len, strlen(expected));
    buf_release(&text);
}

/* Returns a line of `len` bytes, including its newline. */
static struct buf long_line(size_t len)
{
    struct buf line = {0};
    cr_assert(buf_reserve(&line, len + 300)); /* spare room, so that the memory does not move later */
    while (line.len + 1 < len) buf_add_char(&line, 'x');
    buf_add_char(&line, '\n');
    return line;
}

Test(line_queue, lines_come_out_in_the_order_in_which_they_were_added_and_moved)
{
    struct line_queue q = {0}, other = {0};
    line_queue_add(&q, "a\nb\n", 4);
    line_queue_add(&other, "c\n", 2);
    line_queue_move(&q, &other);
    assert_holds(&other, "");
    line_queue_add(&other, "d\n", 2);
    line_queue_move(&q, &other);
    assert_holds(&q, "a\nb\nc\nd\n");
    line_queue_skip(&q, 4);
    assert_holds(&q, "c\nd\n");
    line_queue_skip(&q, 4);
    assert_holds(&q, "");
    line_queue_add(&q, "e\n", 2);
    assert_holds(&q, "e\n");
    line_queue_release(&q);
    line_queue_release(&other);
    assert_no_leaks();
}

Test(line_queue, a_long_line_is_never_copied)
{
    struct line_queue q = {0}, other = {0};
    struct buf line = long_line(LINE_QUEUE_LONG_BYTES + 100);
    const char *memory = line.data;
    size_t len;
    line_queue_add(&q, "first\n", 6);
    line_queue_add(&other, "before\n", 7);
    line_queue_take(&other, &line, 50);
    line_queue_add(&other, "after\n", 6);
    cr_assert_null(line.data);
    line_queue_move(&q, &other);
    for (int i = 0; i < 2; i++) {
        line_queue_first_line(&q, &len);
        line_queue_skip(&q, len);
    }
    cr_assert_eq(line_queue_first_line(&q, &len), memory + 50);
    cr_assert_eq(len, LINE_QUEUE_LONG_BYTES + 50);
    line_queue_skip(&q, len);
    assert_holds(&q, "after\n");
    line_queue_release(&q);
    line_queue_release(&other);
    assert_no_leaks();
}

Test(line_queue, no_block_grows_beyond_its_size_however_much_is_added)
{
    struct line_queue q = {0};
    struct buf line = long_line(1000);
    size_t most = 0, all = 0, n;
    while (q.len < 5 * LINE_QUEUE_BLOCK_BYTES) line_queue_add(&q, line.data, line.len);
    while (line_queue_peek(&q, &n)) {
        if (n > most) most = n;
        all += n;
        line_queue_skip(&q, n);
    }
    cr_assert_leq(most, LINE_QUEUE_BLOCK_BYTES);
    cr_assert_eq(all % line.len, 0, "no line is split");
    buf_release(&line);
    line_queue_release(&q);
    assert_no_leaks();
}

Test(line_queue, one_block_that_was_not_read_is_handed_over_whole)
{
    struct line_queue q = {0};
    struct buf line = long_line(2 * LINE_QUEUE_LONG_BYTES), all = {0};
    const char *memory = line.data;
    cr_assert_not(line_queue_detach(&q, &all));
    line_queue_take(&q, &line, 0);
    line_queue_add(&q, "end\n", 4);
    cr_assert(line_queue_detach(&q, &all));
    cr_assert_eq(all.data, memory);
    cr_assert_eq(all.len, 2 * LINE_QUEUE_LONG_BYTES + 4);
    cr_assert_eq(q.len, 0);
    buf_release(&all);
    line_queue_release(&q);
    assert_no_leaks();
}
