#include <criterion/criterion.h>

#include "unit/leaks.h"
#include "worker/chunk/chunk_header.h"

Test(chunk_header, a_header_is_read_and_its_common_value_kept_as_written)
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

Test(chunk_header, a_wrong_header_is_refused)
{
    static const char *const bad[] = {"",
                                      "1",
                                      "{",
                                      "[]",
                                      "{\"x\":1}",
                                      "{\"item_timeout_s\":-1}",
                                      "{\"item_timeout_s\":\"1\"}",
                                      "{\"pipeline\":[]}",
                                      "{\"pipeline\":[1]}",
                                      "{\"pipeline\":\"a\"}",
                                      "{\"pipeline\":[\"a\"],\"pipeline\":[\"a\"]}",
                                      "{\"pipeline\":[\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\","
                                      "\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\"]}"};
    struct chunk_header h;
    char err[200];
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        cr_assert_not(chunk_header_parse(&h, bad[i], strlen(bad[i]), err, sizeof err), "%s", bad[i]);
    assert_no_leaks();
}
