#include <criterion/criterion.h>

#include "common/observe/uuid.h"

/* The example of RFC 9562, appendix A.6. */
Test(uuid, version_7_is_laid_out_as_the_rfc_says)
{
    static const uint8_t random[10] = {0x0C, 0xC3, 0x18, 0xC4, 0xDC, 0x0C, 0x0C, 0x07, 0x39, 0x8F};
    char text[UUID_TEXT_SIZE];
    uuid7_format(UINT64_C(0x017F22E279B0), random, text);
    cr_assert_str_eq(text, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
}

Test(uuid, only_an_id_of_version_7_in_lower_case_is_valid)
{
    static const char *const wrong[] = {"",
                                        "x",
                                        "------------------------------------",
                                        "000000000000000000000000000000000000",
                                        "017f22e2-79b0-4cc3-98c4-dc0c0c07398f",
                                        "017f22e2-79b0-7cc3-c8c4-dc0c0c07398f",
                                        "017f22e2-79b0-7cc3-78c4-dc0c0c07398f",
                                        "017F22E2-79B0-7CC3-98C4-DC0C0C07398F",
                                        "017f22e279b0-7cc3-98c4-dc0c0c07398f-",
                                        "017f22e2-79b0-7cc3-98c4-dc0c0c07398g",
                                        "017f22e2-79b0-7cc3-98c4-dc0c0c07398",
                                        "017f22e2-79b0-7cc3-98c4-dc0c0c07398f0",
                                        " 017f22e2-79b0-7cc3-98c4-dc0c0c07398"};
    char text[UUID_TEXT_SIZE];
    cr_assert(uuid7_is_valid("017f22e2-79b0-7cc3-98c4-dc0c0c07398f"));
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) cr_assert_not(uuid7_is_valid(wrong[i]), "%s", wrong[i]);
    for (int i = 0; i < 100; i++) {
        uuid7_new(text);
        cr_assert(uuid7_is_valid(text), "%s", text);
    }
}

Test(uuid, later_ids_sort_behind_earlier_ones)
{
    static const uint8_t high[10] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255}, low[10] = {0};
    char first[UUID_TEXT_SIZE], second[UUID_TEXT_SIZE];
    uuid7_format(1000, high, first);
    uuid7_format(1001, low, second);
    cr_assert_lt(strcmp(first, second), 0);
}
