#include <criterion/criterion.h>

#include "common/base/limits.h"
#include "unit/leaks.h"
#include "worker/chunk/chunk_header.h"

Test(chunk_header, a_header_is_read_and_its_common_value_is_kept_as_written)
{
    static const char line[] =
        "{\"common\": {\"n\":12345678901234567890},\"item_timeout_s\":0.5,\"pipeline\":[\"a\",\"b\"]}";
    struct chunk_header h;
    char err[200];
    cr_assert(chunk_header_parse(&h, NULL, line, sizeof line - 1, err, sizeof err), "%s", err);
    cr_assert_eq(memcmp(h.common, "{\"n\":12345678901234567890}", h.common_len), 0);
    cr_assert_eq(h.item_timeout_ns, 500 * NS_PER_MS);
    cr_assert_eq(h.tasks, 2);
    cr_assert_str_eq(h.task[1], "b");
    chunk_header_release(&h);
    assert_no_leaks();
}

Test(chunk_header, a_wrong_header_is_refused_with_a_sentence_that_names_the_fault)
{
    static const struct {
        const char *line, *reason;
    } bad[] = {
        {"", "not valid JSON"},
        {"1", "must be a JSON object"},
        {"{", "not valid JSON at byte 1"},
        {"[]", "must be a JSON object"},
        {"{\"x\":1}", "unknown member \"x\""},
        {"{\"item_timeout_s\":-1}", "item_timeout_s must be a number from 0 to 31622400"},
        {"{\"item_timeout_s\":31622401}", "must be a number from 0 to 31622400"},
        {"{\"item_timeout_s\":\"1\"}", "item_timeout_s must be a number"},
        {"{\"pipeline\":[]}", "pipeline must be an array of 1 to 16 task names"},
        {"{\"pipeline\":[1]}", "pipeline must be"},
        {"{\"pipeline\":\"a\"}", "pipeline must be"},
        {"{\"pipeline\":[\"a\"],\"pipeline\":[\"a\"]}", "at byte 18: an object has the same name twice"},
        {" {\"common\":1,\"\\u0063ommon\":2}", "at byte 13: an object has the same name twice"},
        {"{\"common\\u0000\":1}", "at byte 1: a string has the NUL"},
        {"{\"pipeline\":[\"a\\u0000b\"]}", "pipeline must be"},
        {"{\"pipeline\":[\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\","
         "\"a\","
         "\"a\"]}",
         "pipeline must be"},
    };
    struct chunk_header h;
    char err[200];
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        cr_assert_not(chunk_header_parse(&h, NULL, bad[i].line, strlen(bad[i].line), err, sizeof err), "%s",
                      bad[i].line);
        cr_assert_not_null(strstr(err, bad[i].reason), "%s: %s", bad[i].line, err);
    }
    assert_no_leaks();
}

Test(chunk_header, a_time_limit_is_read_up_to_the_limit_and_only_zero_is_no_limit)
{
    static const struct {
        const char *line;
        uint64_t ns;
    } good[] = {
        {"{\"item_timeout_s\":31622400}", LIMIT_TIME_S * NS_PER_S},
        {"{\"item_timeout_s\":-0}", 0},
        {"{\"item_timeout_s\":-0.0e5}", 0},
        {"{\"item_timeout_s\":1e-12}", 1},
    };
    struct chunk_header h;
    char err[200];
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        cr_assert(chunk_header_parse(&h, NULL, good[i].line, strlen(good[i].line), err, sizeof err), "%s", err);
        cr_assert(h.has_item_timeout && h.item_timeout_ns == good[i].ns, "%s", good[i].line);
        chunk_header_release(&h);
    }
    assert_no_leaks();
}

static void expect_common(const char *before, const char *value, const char *after, size_t piece)
{
    struct chunk_header h;
    struct value_scan scan = {0};
    struct buf line = {0};
    char err[200];
    buf_add_str(&line, before);
    buf_add_str(&line, value);
    buf_add_str(&line, after);
    for (size_t at = piece; at < line.len; at += piece) chunk_header_look(&scan, line.data, at);
    cr_assert(chunk_header_parse(&h, &scan, line.data, line.len, err, sizeof err), "%s", err);
    cr_assert_eq(h.common_len, strlen(value));
    cr_assert_eq(memcmp(h.common, value, h.common_len), 0);
    cr_assert_eq(h.item_timeout_ns, 500 * NS_PER_MS);
    cr_assert_eq(scan.state, VALUE_SCAN_WHOLE);
    cr_assert_eq(scan.end, (size_t)(h.common - line.data) + h.common_len);
    chunk_header_release(&h);
    buf_release(&line);
}

Test(chunk_header, a_long_common_value_is_scanned_as_it_comes)
{
    static const size_t pieces[] = {1000, 4096, 10000, 1000000};
    struct buf value = {0};
    buf_add_char(&value, '[');
    for (int i = 0; i < 20000; i++) buf_add_str(&value, "1, \"}\", ");
    buf_add_str(&value, "{\"common\":2}]");
    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        const char *v = buf_cstr(&value);
        expect_common("{\"item_timeout_s\":0.5,\"common\":", v, "}", pieces[i]);
        expect_common("{\"common\":\t ", v, " , \"item_timeout_s\":0.5} ", pieces[i]);
    }
    buf_release(&value);
    assert_no_leaks();
}
