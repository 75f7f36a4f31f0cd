/* The header of an input that is cut into blocks. */
#include <criterion/criterion.h>

#include "cli/blocks/block_header.h"

static struct block_header header_of(const char *text)
{
    struct block_header h;
    cr_assert(block_header_read(&h, text), "%s", text);
    return h;
}

Test(block_header, a_header_is_a_number_of_lines_or_of_bytes)
{
    static const char *const wrong[] = {"", "x", "2x", "-1", "1048577", ".{}", ".{2", ".{2}x", ".{-1}", "(%.*\\n)*"};
    struct block_header h = header_of(":"), two = header_of("2"), bytes = header_of(".{4}"), none = header_of("0");
    cr_assert_eq(block_header_find(&h, "a\nb\n", 4), 2);
    cr_assert_eq(block_header_find(&h, "a", 1), 0);
    cr_assert_eq(block_header_find(&two, "a\n\nb", 4), 3);
    cr_assert_eq(block_header_find(&two, "a\n", 2), 0);
    cr_assert_eq(block_header_find(&bytes, "abcde", 5), 4);
    cr_assert_eq(block_header_find(&bytes, "abc", 3), 0);
    cr_assert(!block_header_given(&none) && block_header_given(&two) && block_header_given(&bytes));
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) cr_assert_not(block_header_read(&h, wrong[i]), "%s", wrong[i]);
}
