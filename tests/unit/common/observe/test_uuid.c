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

Test(uuid, later_ids_sort_behind_earlier_ones)
{
    static const uint8_t high[10] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255}, low[10] = {0};
    char first[UUID_TEXT_SIZE], second[UUID_TEXT_SIZE];
    uuid7_format(1000, high, first);
    uuid7_format(1001, low, second);
    cr_assert_lt(strcmp(first, second), 0);
}
