/* The splitter reads the cases of the JSON test suite. */
#include "common/json/json_own.h"
#include "unit/coordinator/items/splitter_harness.h"
#include "unit/json_suite.h"

/* Checks, for each size of pieces, whether the splitter accepts the body in this format, and which item it finds. */
static void check_body(const char *name, enum split_format format, const struct buf *body, bool accepted,
                       const char *item, size_t item_len)
{
    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        /* Cases with 100,000 brackets fail early, so pieces of one byte do not take long. */
        struct splitter s;
        enum split_status status = split_into(&s, format, body->data, body->len, pieces[i]);
        assert_sane(&s);
        cr_assert_eq(status == SPLIT_OK, accepted, "%s in pieces of %zu: %s", name, pieces[i], s.error.phrase);
        if (accepted && item) {
            cr_assert_eq(s.item_count, 1, "%s", name);
            cr_assert(s.items.len == item_len + 1 && memcmp(s.items.data, item, item_len) == 0, "%s is changed", name);
        }
        cr_assert(s.error.offset <= body->len);
        splitter_release(&s);
    }
}

static void check_case(const char *name, char verdict, const char *data, size_t len)
{
    size_t offset;
    const char *why;
    bool valid = json_valid(data, len, &offset, &why), one_line = !memchr(data, '\n', len);
    /* The expected item has no white space around it and no line breaks in it. */
    struct buf item = {0}, body = {0};
    size_t begin = 0, end = len;
    while (begin < end && strchr(" \t\r\n", data[begin]) && data[begin]) begin++;
    while (end > begin && strchr(" \t\r\n", data[end - 1]) && data[end - 1]) end--;
    for (size_t i = begin; i < end; i++) {
        if (data[i] != '\n' && data[i] != '\r') buf_add_char(&item, data[i]);
    }

    buf_add_str(&body, "{\"items\":[");
    buf_add(&body, data, len);
    buf_add_str(&body, "]}");
    /* A case with only white space gives an empty array, which is valid. So cases with only white space are left out
     * here. */
    if (begin < end) check_body(name, SPLIT_JOB, &body, valid, item.data, item.len);

    /* The splitter skips a byte order mark at the start of a body. */
    bool marked = has_utf8_mark(data, len);
    buf_clear(&body);
    buf_add(&body, data, len);
    buf_add_char(&body, '\n');
    if (one_line && begin < end && !marked) check_body(name, SPLIT_NDJSON, &body, valid, item.data, item.len);

    body.len = len;
    if (marked) {
        data += strlen(UTF8_MARK);
        len -= strlen(UTF8_MARK);
        begin = 0;
        valid = json_valid(data, len, &offset, &why);
    }
    bool object = valid && data[begin] == '{' && json_own_check_names(data, len, &offset, &why);
    check_body(name, SPLIT_JOB, &body, object, NULL, 0);
    buf_release(&item);
    buf_release(&body);
}

Test(splitter, items_and_bodies_are_held_to_the_json_test_suite)
{
    cr_assert_eq(json_suite_each(check_case), 318);
    assert_no_leak();
}
