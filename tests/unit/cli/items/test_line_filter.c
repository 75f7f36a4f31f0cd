/* Lines whose items an earlier run has done are left out. */
#include <criterion/criterion.h>

#include "cli/items/line_filter.h"

/* Filters a text in pieces of each size. Every size must give the same result. */
static void expect(struct line_filter filter, const char *text, const char *wanted)
{
    char bytes[256];
    size_t len = strlen(text);
    for (size_t size = 1; size <= len; size++) {
        struct line_filter f = filter;
        size_t kept = 0;
        for (size_t at = 0; at < len; at += size) {
            size_t n = len - at < size ? len - at : size;
            memcpy(bytes + kept, text + at, n);
            kept += line_filter_keep(&f, bytes + kept, n);
        }
        bytes[kept] = '\0';
        cr_assert_str_eq(bytes, wanted, "in pieces of %zu bytes", size);
    }
}

Test(line_filter, lines_that_are_done_are_left_out)
{
    struct done_set done = {0};
    cr_assert(done_set_add(&done, 0) && done_set_add(&done, 2) && done_set_add(&done, 4));
    struct line_filter text = {.done = &done}, json = {.done = &done, .skip_blank = true};
    expect(text, "a\nb\nc\nd\ne\nf\n", "b\nd\nf\n");
    expect(text, "a\nb\n\n\ne", "b\n\n"); /* an empty line is an item */
    expect(json, "1\n22\n333\n4", "22\n4");
    expect((struct line_filter){.done = NULL}, "1\n\n2", "1\n\n2");
    done_set_release(&done);
}

Test(line_filter, blank_lines_of_json_are_no_items)
{
    struct done_set done = {0};
    cr_assert(done_set_add(&done, 1));
    struct line_filter json = {.done = &done, .skip_blank = true};
    expect(json, " 1\n \n2\n\t\r\n 3\n", " 1\n\t\r\n 3\n");
    expect(json, "1\n 2", "1\n"); /* the last line has no end */
    done_set_release(&done);
}

Test(line_filter, the_line_at_the_end_of_a_piece_may_be_one_that_is_left_out)
{
    struct done_set done = {0};
    char piece[] = "a\nb";
    cr_assert(done_set_add(&done, 1));
    struct line_filter f = {.done = &done};
    cr_assert_not(line_filter_drops(&f));
    cr_assert_eq(line_filter_keep(&f, piece, 3), 2);
    cr_assert(line_filter_drops(&f));
    done_set_release(&done);
}
