/* Bodies of lines whose first line has the options. */
#include "common/base/limits.h"
#include "unit/coordinator/items/splitter_harness.h"
#include "unit/leaks.h"

static enum split_status split(struct splitter *s, enum split_format format, const char *body, size_t piece)
{
    splitter_init(s, format, 0);
    splitter_expect_options(s);
    return feed_in_pieces(s, body, strlen(body), piece);
}

static void expect(enum split_format format, const char *body, const char *options, const char *items)
{
    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        struct splitter s;
        cr_assert_eq(split(&s, format, body, pieces[i]), SPLIT_OK, "%s", body);
        cr_assert_str_eq(buf_cstr(&s.options), options);
        cr_assert_str_eq(buf_cstr(&s.items), items);
        assert_sane(&s);
        splitter_release(&s);
    }
    assert_no_leaks();
}

Test(splitter_options, the_first_line_has_the_options_and_the_others_are_items)
{
    expect(SPLIT_NDJSON, "{\"a\":1}\n1\n\n2", "{\"a\":1}", "1\n2\n");
    expect(SPLIT_TEXT, "{\"a\":1}\nx\n\ny\n", "{\"a\":1}", "\"x\"\n\"\"\n\"y\"\n");
    expect(SPLIT_NDJSON, "\xef\xbb\xbf {\"a\":1} \r\n1\n", " {\"a\":1} \r", "1\n");
}

Test(splitter_options, there_may_be_no_items)
{
    expect(SPLIT_NDJSON, "{\"a\":1}", "{\"a\":1}", "");
    expect(SPLIT_TEXT, "{\"a\":1}\n", "{\"a\":1}", "");
}

static void expect_fault(const char *body, uint64_t offset)
{
    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        struct splitter s;
        cr_assert_eq(split(&s, SPLIT_NDJSON, body, pieces[i]), SPLIT_BAD, "%s", body);
        cr_assert_eq(s.error.offset, offset, "%s: %llu", body, (unsigned long long)s.error.offset);
        cr_assert_str_eq(buf_cstr(&s.options), "{}");
        cr_assert_eq(s.item_count, 0);
        splitter_release(&s);
    }
    assert_no_leaks();
}

Test(splitter_options, a_first_line_that_is_no_object_is_a_fault)
{
    expect_fault("", 0);
    expect_fault("\n1\n", 0);
    expect_fault(" 3\n1\n", 1);
    expect_fault("[1]\n1\n", 0);
    expect_fault("{\"a\":}\n1\n", 5);
    expect_fault("{\"a\":1", 6);
    expect_fault("{\"a\":1\n1\n", 6);
    expect_fault("{\"a\":1} {}\n1\n", 8);
    expect_fault("\xef\xbb\xbf 3\n1\n", 4);
    expect_fault("\xef\xbb\xbf{\"a\":}\n1\n", 8);
}

/* The line is scanned while it arrives. So at the end of a long line, its bytes need not be scanned again. */
Test(splitter_options, a_fault_in_the_first_line_is_found_before_the_line_ends)
{
    static const char *const faults[][2] = {{"{\"a\":1, ", "}"}, {" ", "3"}, {"{\"a\":1}", " x"}};
    static const uint64_t offsets[] = {8, 1, 8};
    for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
        struct splitter s;
        splitter_init(&s, SPLIT_NDJSON, 0);
        splitter_expect_options(&s);
        cr_assert_eq(splitter_feed(&s, faults[i][0], strlen(faults[i][0])), SPLIT_OK);
        cr_assert_eq(splitter_feed(&s, faults[i][1], strlen(faults[i][1])), SPLIT_BAD, "%s", faults[i][1]);
        cr_assert_eq(s.error.offset, offsets[i], "%llu", (unsigned long long)s.error.offset);
        splitter_release(&s);
    }
    assert_no_leaks();
}

Test(splitter_options, the_fault_of_an_item_is_located_in_the_body)
{
    struct splitter s;
    cr_assert_eq(split(&s, SPLIT_NDJSON, "{\"a\":1}\n1\nx\n", 1), SPLIT_BAD);
    cr_assert_eq(s.error.offset, 10);
    cr_assert_str_eq(s.error.pointer, "/items/1");
    splitter_release(&s);
    assert_no_leaks();
}

Test(splitter_options, a_first_line_beyond_the_limit_is_too_large)
{
    struct splitter s;
    char *piece = xmalloc(MIB);
    memset(piece, ' ', MIB);
    splitter_init(&s, SPLIT_NDJSON, 0);
    splitter_expect_options(&s);
    enum split_status status = SPLIT_OK;
    for (int i = 0; i < 5 && status == SPLIT_OK; i++) status = splitter_feed(&s, piece, MIB);
    cr_assert_eq(status, SPLIT_OPTIONS_TOO_LARGE);
    splitter_release(&s);
    free(piece);
    assert_no_leaks();
}
