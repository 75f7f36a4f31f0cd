#include <criterion/criterion.h>

#include "unit/leaks.h"
#include "worker/process/numbered.h"

Test(numbered, items_get_consecutive_ids)
{
    struct buf b = {0};
    numbered_add_items(&b, "1\n{\"a\":[]}\r\n\"x\"\n", 16, 9);
    cr_assert_str_eq(buf_cstr(&b),
                     "{\"id\":9,\"item\":1}\n{\"id\":10,\"item\":{\"a\":[]}}\n{\"id\":11,\"item\":\"x\"}\n");
    buf_release(&b);
    assert_no_leaks();
}

Test(numbered, members_in_any_order_and_white_space_are_read)
{
    static const struct {
        const char *line, *body;
        enum numbered_kind kind;
        uint64_t id;
    } cases[] = {
        {"{\"id\":7,\"value\":[1, 2]}", "[1, 2]", NUMBERED_VALUE, 7},
        {" { \"id\" : 7 , \"value\" : null } \r", "null", NUMBERED_VALUE, 7},
        {"{\"value\":{\"id\":3},\"id\":7}", "{\"id\":3}", NUMBERED_VALUE, 7},
        {"{\"id\":7,\"took\":0.1,\"value\":\"x\"}", "\"x\"", NUMBERED_VALUE, 7},
        {"{\"id\":7,\"value\":1,\"took\":0.1}", "1", NUMBERED_VALUE, 7},
        {"{\"\\u0069d\":7,\"value\":1}", "1", NUMBERED_VALUE, 7},
        {"{\"id\":7,\"error\":{\"cause\":\"no\"}}", "{\"cause\":\"no\"}", NUMBERED_ERROR, 7},
        {"{\"id\":7,\"error\":\"no\"}", NULL, NUMBERED_BAD, 7},
        {"{\"id\":7,\"value\":nan}", NULL, NUMBERED_BAD, 7},
        {"{\"id\":7,\"value\":1", NULL, NUMBERED_BAD, 7},
        {"{\"id\":7}", NULL, NUMBERED_BAD, 7},
        {"{\"id\":7,\"other\":1}", NULL, NUMBERED_BAD, 7},
        {"{\"id\":7,\"value\":1,\"error\":{}}", NULL, NUMBERED_BAD, 7},
        {"{\"id\":7,\"value\":1,\"value\":2}", NULL, NUMBERED_BAD, 7},
        {"{\"id\":7,\"error\":{\"name\":\"a\",\"name\":\"b\"}}", NULL, NUMBERED_BAD, 7},
        {"{\"value\":1,\"id\":7,\"id\":8}", NULL, NUMBERED_STRAY, 0},
        {"{\"id\":\"7\",\"value\":1}", NULL, NUMBERED_STRAY, 0},
        {"{\"id\":-7,\"value\":1}", NULL, NUMBERED_STRAY, 0},
        {"{\"id\":7.5,\"value\":1}", NULL, NUMBERED_STRAY, 0},
        {"{\"id\":1234567890123456789,\"value\":1}", NULL, NUMBERED_STRAY, 0},
        {"{\"value\":1}", NULL, NUMBERED_STRAY, 0},
        {"[7,1]", NULL, NUMBERED_STRAY, 0},
        {"7", NULL, NUMBERED_STRAY, 0},
        {"", NULL, NUMBERED_STRAY, 0},
        {"Loading ...", NULL, NUMBERED_STRAY, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct numbered_line a = numbered_parse(cases[i].line, strlen(cases[i].line));
        cr_assert_eq(a.kind, cases[i].kind, "%s: %d", cases[i].line, (int)a.kind);
        if (a.kind != NUMBERED_STRAY) cr_assert_eq(a.id, cases[i].id, "%s", cases[i].line);
        if (!cases[i].body) continue;
        cr_assert_eq(a.body_len, strlen(cases[i].body), "%s", cases[i].line);
        cr_assert_eq(memcmp(a.body, cases[i].body, a.body_len), 0, "%s", cases[i].line);
    }
    assert_no_leaks();
}
