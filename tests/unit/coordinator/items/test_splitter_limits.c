/* How deep, long and numerous the parts of a body may be. */
#include "common/base/limits.h"
#include "unit/coordinator/items/splitter_harness.h"
#include "unit/json_suite.h"

Test(splitter_limits, nesting_is_limited_per_item)
{
    struct splitter s;
    splitter_init(&s, SPLIT_NDJSON, 2);
    cr_assert_eq(splitter_feed(&s, "[[]]\n[[[]]]\n", 12), SPLIT_BAD);
    cr_assert_str_eq(s.error.pointer, "/items/1");
    cr_assert_str_eq(s.error.phrase, "the value is nested too deeply");
    splitter_release(&s);
    splitter_init(&s, SPLIT_JOB, 2);
    cr_assert_eq(splitter_feed(&s, "{\"items\":[[[]],[[[", 18), SPLIT_BAD);
    cr_assert_eq(s.error.offset, 17);
    splitter_release(&s);
    assert_no_leak();
}

/* Feeds one string item of `len` bytes, including the quotes. */
static enum split_status feed_long_item(enum split_format format, size_t len)
{
    struct splitter s;
    char *piece = xmalloc(MIB);
    memset(piece, 'a', MIB);
    splitter_init(&s, format, 0);
    const char *head = format == SPLIT_JOB ? "{\"items\":[\"" : "\"", *tail = format == SPLIT_JOB ? "\"]}" : "\"\n";
    enum split_status status = splitter_feed(&s, head, strlen(head));
    for (size_t left = len - 2; left && status == SPLIT_OK;) {
        size_t n = left < MIB ? left : MIB;
        status = splitter_feed(&s, piece, n);
        left -= n;
    }
    if (status == SPLIT_OK) status = splitter_feed(&s, tail, strlen(tail));
    if (status == SPLIT_OK) status = splitter_finish(&s);
    splitter_release(&s);
    free(piece);
    return status;
}

Test(splitter_limits, an_item_may_be_as_large_as_the_limit_and_no_larger)
{
    for (enum split_format format = SPLIT_JOB; format <= SPLIT_NDJSON; format++) {
        cr_assert_eq(feed_long_item(format, LIMIT_ITEM_BYTES), SPLIT_OK);
        cr_assert_eq(feed_long_item(format, LIMIT_ITEM_BYTES + 1), SPLIT_ITEM_TOO_LARGE);
        cr_assert_eq(feed_long_item(format, LIMIT_ITEM_BYTES + 100), SPLIT_ITEM_TOO_LARGE);
    }
    assert_no_leak();
}

Test(splitter_limits, options_beyond_their_limit_are_too_large)
{
    struct splitter s;
    char *piece = xmalloc(MIB);
    memset(piece, 'a', MIB);
    splitter_init(&s, SPLIT_JOB, 0);
    enum split_status status = splitter_feed(&s, "{\"common\":\"", 11);
    for (int i = 0; i < 5 && status == SPLIT_OK; i++) status = splitter_feed(&s, piece, MIB);
    cr_assert_eq(status, SPLIT_OPTIONS_TOO_LARGE);
    cr_assert_str_eq(s.error.pointer, "/common");
    splitter_release(&s);
    free(piece);
    assert_no_leak();
}

Test(splitter_limits, a_job_object_has_not_endless_members)
{
    struct splitter s;
    struct buf body = {0};
    buf_add_char(&body, '{');
    for (int i = 0; i < 100; i++) buf_addf(&body, "%s\"m%d\":%d", i ? "," : "", i, i);
    buf_add_char(&body, '}');
    cr_assert_eq(split_into(&s, SPLIT_JOB, body.data, body.len, WHOLE), SPLIT_BAD);
    splitter_release(&s);
    buf_release(&body);
    assert_no_leak();
}
