#include "common/json/json_own.h"

#include <criterion/criterion.h>

#include "common/json/json_scan.h"

static void expect(const char *text, const char *reason, size_t place)
{
    size_t offset = 0;
    const char *error = NULL;
    cr_assert(json_valid(text, strlen(text), &offset, &error), "%s", text);
    bool good = json_own_check(text, strlen(text), &offset, &error);
    cr_assert_eq(good, reason == NULL, "%s", text);
    if (good) return;
    cr_assert(strstr(error, reason), "%s: %s", text, error);
    cr_assert_eq(offset, place, "%s: at byte %zu", text, offset);
}

Test(json_own, names_that_mean_the_same_are_found_at_every_depth)
{
    expect("{\"a\":1,\"b\":{\"a\":1},\"c\":[{\"a\":1},{\"a\":1}]}", NULL, 0);
    expect("{\"a\":1,\"a\":2}", "twice", 7);
    expect(" {\"a\":1, \"\\u0061\":2}", "twice", 9);
    expect("{\"env\":{\"A\":\"1\",\"B\":\"2\",\"A\":\"3\"}}", "twice", 24);
    expect("[{\"a\":1},{\"\":1,\"\":2}]", "twice", 15);
}

Test(json_own, a_string_that_c_cannot_hold_is_found)
{
    expect("{\"a\\\\u0000\":\"\\ud834\\uDD1E\"}", NULL, 0);
    expect("{\"a\\u0000\":1}", "NUL", 1);
    expect("{\"a\":\"x\\u0000\"}", "NUL", 5);
    expect("[\"ok\",\"\\ud834\"]", "surrogate", 6);
    expect("[\"\\udd1e\\ud834\"]", "surrogate", 1);
    expect("[\"\\ud834\\u0041\"]", "surrogate", 1);
    expect("\"\\u0000\"", "NUL", 0);
}

Test(json_own, the_values_of_a_user_are_not_looked_at_with_the_names_alone)
{
    static const char text[] = "{\"common\":{\"a\":\"\\u0000\",\"a\":1},\"common\":2}";
    size_t offset;
    const char *error;
    cr_assert(!json_own_check_names(text, sizeof text - 1, &offset, &error));
    cr_assert(strstr(error, "twice") && offset == 31, "%zu", offset);
    static const char once[] = "{\"common\":{\"a\":\"\\u0000\",\"a\":1}}";
    cr_assert(json_own_check_names(once, sizeof once - 1, &offset, &error));
    cr_assert(json_own_check_names("5", 1, &offset, &error));
}
