/* One member of a JSON object. */
#include <criterion/criterion.h>

#include "cli/base/json_member.h"

static const char object[] =
    "{\"detail\":\"no \\\"task\\\"\",\"pointer\":\"/task\",\"status\":404.0,\"deep\":{\"a\":[1,2]}}";

static bool read_is(const char *json, const char *name, const char *wanted)
{
    struct buf text = {0};
    bool found = json_member_read(json, strlen(json), name, &text);
    if (found) cr_assert_str_eq(buf_cstr(&text), wanted);
    cr_assert(found || text.len == 0);
    buf_release(&text);
    return found;
}

Test(json_member, a_string_is_decoded_and_another_value_is_taken_as_written)
{
    cr_assert(read_is(object, "detail", "no \"task\""));
    cr_assert(read_is(object, "pointer", "/task"));
    cr_assert(read_is(object, "status", "404.0"));
    cr_assert(read_is(object, "deep", "{\"a\":[1,2]}"));
}

Test(json_member, a_missing_member_or_broken_json_is_not_found)
{
    cr_assert_not(read_is(object, "a", ""));
    cr_assert_not(read_is("{\"detail\":\"x\"", "detail", ""));
    cr_assert_not(read_is("\"detail\"", "detail", ""));
    cr_assert_not(read_is("", "detail", ""));
}
