#include "common/json/json_walk.h"

#include <criterion/criterion.h>

Test(json_walk, only_a_valid_object_or_array_is_walked)
{
    struct json_walk walk;
    const char *const bad[] = {"", "{", "[1,]", "{\"a\":1}}", "1", "\"a\""};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        cr_assert_not(json_walk_init_checked(&walk, bad[i], strlen(bad[i])), "%s", bad[i]);
    struct json_slice name, value;
    cr_assert(json_walk_init_checked(&walk, " {\"a\": 1} ", 10));
    cr_assert(json_walk_next(&walk, &name, &value));
    cr_assert(json_string_is(name, "a"));
    cr_assert_not(json_walk_next(&walk, &name, &value));
}
