/* The beginnings of ids. */
#include <criterion/criterion.h>

#include "cli/jobs/id_prefix.h"

#define ID "0195f2c4-1a2b-7000-8000-000000000001"

Test(id_prefix, only_what_can_begin_an_id_is_valid)
{
    static const char *const good[] = {"0", "0195f2c4-", ID};
    static const char *const bad[] = {"",    "0195F2", "..", "0195/", "0195f2c4-1a2b-7000-8000-0000000000010",
                                      "all", " 0195",  "%30"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) cr_assert(id_prefix_is_valid(good[i]), "%s", good[i]);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) cr_assert(!id_prefix_is_valid(bad[i]), "%s", bad[i]);
    cr_assert(id_prefix_is_whole(ID));
    cr_assert(!id_prefix_is_whole("0195"));
}

Test(id_prefix, it_matches_the_ids_that_begin_with_it)
{
    cr_assert(id_prefix_matches("0195f2c4-1", ID));
    cr_assert(id_prefix_matches(ID, ID));
    cr_assert(!id_prefix_matches("0195f2c4-2", ID));
}

Test(id_prefix, a_list_has_passed_it_once_an_id_is_smaller)
{
    cr_assert(!id_prefix_is_passed("0195", ID));
    cr_assert(!id_prefix_is_passed("0194", ID));
    cr_assert(!id_prefix_is_passed(ID, ID));
    cr_assert(id_prefix_is_passed("0196", ID));
    cr_assert(id_prefix_is_passed("0195f2c4-1a2b-7000-8000-000000000002", ID));
}

Test(id_prefix, as_many_characters_are_shown_as_tell_two_ids_apart)
{
    cr_assert_eq(id_prefix_length(ID, ""), ID_PREFIX_SHOWN);
    cr_assert_eq(id_prefix_length(ID, "0195f2c4-1a2c-7000-8000-000000000001"), ID_PREFIX_SHOWN);
    cr_assert_eq(id_prefix_length(ID, "0195f2c4-1a2b-7001-8000-000000000001"), 18);
    cr_assert_eq(id_prefix_length(ID, "0195f2c4-1a2b-7000-8000-000000000002"), 36);
    cr_assert_eq(id_prefix_length(ID, ID), 36);
}
