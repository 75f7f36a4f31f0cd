/* The names of columns as placeholders. */
#include <criterion/criterion.h>

#include "cli/records/header_names.h"
#include "unit/leaks.h"

static struct header_names names_of(const char *const *names, size_t count)
{
    struct header_names h = {0};
    struct input_record r = {0};
    for (size_t i = 0; i < count; i++) record_add(&r, names[i], strlen(names[i]));
    header_names_add(&h, &r);
    record_release(&r);
    return h;
}

Test(header_names, a_name_in_braces_becomes_the_number_of_its_column)
{
    static const char *const names[] = {"x", "long name", "", "x.y"};
    static const char *const cases[][2] = {
        {"{x}", "{1}"},
        {"a{long name/.}-{x//}{x.}{x/}", "a{2/.}-{1//}{1.}{1/}"},
        {"{x.y}{x.y.}", "{4}{4.}"},
        {"{{x}}", "{{1}}"},
        {"{x{x}", "{x{1}"},
    };
    struct header_names h = names_of(names, ARRAY_SIZE(names));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char *got = header_names_number(&h, cases[i][0]);
        cr_assert_str_eq(got, cases[i][1], "%s", cases[i][0]);
        free(got);
    }
    cr_assert_null(header_names_number(&h, "{}{y}{x,}{x"));
    header_names_release(&h);
    assert_no_leaks();
}

Test(header_names, a_name_that_is_there_twice_is_found)
{
    static const char *const names[] = {"a", "b", "ab", "b"};
    struct header_names h = names_of(names, 4);
    cr_assert_eq(header_names_repeated(&h), 3);
    header_names_release(&h);
    h = names_of(names, 3);
    cr_assert_eq(header_names_repeated(&h), 3);
    header_names_release(&h);
}
