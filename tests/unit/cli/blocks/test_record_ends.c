/* The places where a stream may be cut. */
#include <criterion/criterion.h>

#include "cli/blocks/record_ends.h"
#include "unit/leaks.h"

static struct record_ends ends_of(const char *start, const char *end)
{
    struct record_ends e;
    cr_assert(record_ends_init(&e, start, end));
    return e;
}

static size_t last(const struct record_ends *e, const char *text, size_t max)
{
    return record_ends_last(e, text, strlen(text), max);
}

static size_t next(const struct record_ends *e, const char *text, size_t min)
{
    return record_ends_next(e, text, strlen(text), min);
}

Test(record_ends, a_record_ends_with_a_newline_unless_the_options_say_otherwise)
{
    struct record_ends e = ends_of(NULL, NULL);
    cr_assert_eq(last(&e, "ab\ncd\nef", 8), 6);
    cr_assert_eq(last(&e, "ab\ncd\nef", 6), 6);
    cr_assert_eq(last(&e, "ab\ncd\nef", 5), 3);
    cr_assert_eq(last(&e, "ab\ncd\nef", 2), 0);
    cr_assert_eq(next(&e, "ab\ncd\nef", 3), 3);
    cr_assert_eq(next(&e, "ab\ncd\nef", 4), 6);
    cr_assert_eq(next(&e, "ab\ncd\nef", 7), 0);
    cr_assert_eq(last(&e, "", 5), 0);
}

Test(record_ends, a_start_is_not_a_part_of_the_record_before_it)
{
    struct record_ends e = ends_of(">", NULL);
    cr_assert_eq(record_ends_ahead(&e), 1);
    cr_assert_eq(last(&e, ">a>b>c", 6), 4);
    cr_assert_eq(last(&e, ">a>b>c", 4), 4);
    cr_assert_eq(last(&e, ">a>b>c", 3), 2);
    cr_assert_eq(last(&e, ">a", 2), 0, "the beginning is not a cut");
    cr_assert_eq(next(&e, ">a>b>c", 1), 2);
    cr_assert_eq(next(&e, ">a>b>c", 3), 4);
}

Test(record_ends, with_both_texts_both_must_be_at_the_cut)
{
    struct record_ends e = ends_of("S", "E\\n");
    const char *text = "SaE\nbE\nScE\nSd";
    cr_assert_eq(last(&e, text, 13), 11);
    cr_assert_eq(last(&e, text, 10), 7);
    cr_assert_eq(last(&e, text, 6), 0);
    cr_assert_eq(next(&e, text, 1), 7);
    cr_assert_eq(next(&e, text, 8), 11);
    cr_assert_eq(next(&e, text, 12), 0);
}

Test(record_ends, texts_that_overlap_themselves_are_found)
{
    struct record_ends e = ends_of(NULL, "aa");
    cr_assert_eq(last(&e, "xaaay", 5), 4);
    cr_assert_eq(last(&e, "xaaay", 3), 3);
    cr_assert_eq(next(&e, "xaaay", 1), 3);
    cr_assert_eq(next(&e, "xaaay", 4), 4);
}

Test(record_ends, without_texts_a_cut_is_anywhere)
{
    struct record_ends e = ends_of(NULL, "");
    cr_assert_eq(last(&e, "abcdef", 4), 4);
    cr_assert_eq(last(&e, "abc", 4), 3);
    cr_assert_eq(next(&e, "abc", 2), 2);
}

Test(record_ends, backslashes_stand_for_bytes)
{
    struct record_ends e = ends_of(NULL, "\\0\\t\\\\\\r\\n");
    cr_assert_eq(e.len, 5);
    cr_assert_arr_eq(e.text, "\0\t\\\r\n", 5);
    cr_assert_not(record_ends_init(&e, NULL, "\\d"));
    cr_assert_not(record_ends_init(&e, "\\", NULL));
    char *text = xcalloc(RECORD_ENDS_BYTES + 2, 1);
    memset(text, 'x', RECORD_ENDS_BYTES + 1);
    cr_assert_not(record_ends_init(&e, text, NULL));
    free(text);
}

Test(record_ends, every_cut_is_found_in_both_directions)
{
    static const char text[] = "ab\nb\n\nba\n\n\nabb\nb";
    static const struct {
        const char *start, *end;
    } forms[] = {{NULL, "\\n"}, {"b", "\\n"}, {"b", NULL}, {"\\n", "b"}, {NULL, "\\n\\n"}};
    size_t len = sizeof text - 1;
    for (size_t f = 0; f < ARRAY_SIZE(forms); f++) {
        struct record_ends e = ends_of(forms[f].start, forms[f].end);
        for (size_t at = 1; at <= len; at++) {
            size_t before = 0, after = 0;
            for (size_t cut = 1; cut <= len; cut++) {
                bool is_cut = cut >= e.end_len && cut + record_ends_ahead(&e) <= len &&
                              memcmp(text + cut - e.end_len, e.text, e.len) == 0;
                if (is_cut && cut <= at) before = cut;
                if (is_cut && cut >= at && !after) after = cut;
            }
            cr_assert_eq(last(&e, text, at), before, "form %zu, last up to %zu", f, at);
            cr_assert_eq(next(&e, text, at), after, "form %zu, next from %zu", f, at);
        }
    }
}
