/* Encodes any bytes as JSON strings. */
#include <criterion/criterion.h>

#include "common/json/byte_text.h"
#include "common/json/json_scan.h"
#include "common/json/json_walk.h"

Test(byte_text, any_bytes_come_back)
{
    char all[3 * 256];
    struct buf json = {0}, text = {0};
    for (unsigned i = 0; i < sizeof all; i++) all[i] = (char)(i * 7);
    cr_assert(byte_text_add(&json, all, sizeof all));
    size_t offset;
    const char *error;
    cr_assert(json_valid(json.data, json.len, &offset, &error), "%s at %zu", error, offset);
    cr_assert(json_string_decode((struct json_slice){json.data, json.len}, &text));
    cr_assert_eq(byte_text_to_bytes(text.data, text.len), sizeof all);
    cr_assert_arr_eq(text.data, all, sizeof all);
    buf_release(&json);
    buf_release(&text);
}

Test(byte_text, ascii_stays_readable)
{
    struct buf json = {0};
    cr_assert(byte_text_add(&json, "a\"\\\n\t\xff", 6));
    cr_assert_str_eq(buf_cstr(&json), "\"a\\\"\\\\\\n\\u0009\xc3\xbf\"");
    buf_release(&json);
}

Test(byte_text, a_character_that_is_no_byte_is_refused)
{
    static const char *const bad[] = {"\xc4\x80", "a\xe2\x82\xac", "\xc2"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        char text[8];
        snprintf(text, sizeof text, "%s", bad[i]);
        cr_assert_eq(byte_text_to_bytes(text, strlen(text)), SIZE_MAX, "%zu", i);
    }
}

Test(byte_text, a_full_buffer_is_not_changed)
{
    struct buf json;
    buf_init(&json, 6);
    cr_assert_not(byte_text_add(&json, "\x01", 1));
    cr_assert_eq(json.len, 0);
    cr_assert(byte_text_add(&json, "abcd", 4));
    buf_release(&json);
}
