#include <criterion/criterion.h>

#include "unit/leaks.h"
#include "worker/chunk/chunk_header.h"

Test(chunk_header, a_header_is_read_and_its_common_value_is_kept_as_written)
{
    static const char line[] =
        "{\"common\": {\"n\":12345678901234567890},\"item_timeout_s\":0.5,\"pipeline\":[\"a\",\"b\"]}";
    struct chunk_header h;
    char err[200];
    cr_assert(chunk_header_parse(&h, line, sizeof line - 1, err, sizeof err), "%s", err);
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
        {"{\"item_timeout_s\":-1}", "item_timeout_s must be a number from 0 to 10000000"},
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
        cr_assert_not(chunk_header_parse(&h, bad[i].line, strlen(bad[i].line), err, sizeof err), "%s", bad[i].line);
        cr_assert_not_null(strstr(err, bad[i].reason), "%s: %s", bad[i].line, err);
    }
    assert_no_leaks();
}
