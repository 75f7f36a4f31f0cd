#include "common/json/json_scan.h"

#include <criterion/criterion.h>

#include "common/json/json_walk.h"
#include "unit/json_suite.h"

/* Returns whether the scanner accepts the text in pieces of `piece` bytes. Each piece has its own allocation. */
static bool valid_in_pieces(const char *data, size_t len, size_t piece, size_t *offset)
{
    struct json_scan s;
    json_scan_init(&s, LIMIT_JSON_DEPTH);
    enum json_scan_status status = JSON_SCAN_MORE;
    size_t at = 0;
    while (at < len && status == JSON_SCAN_MORE) {
        size_t n = len - at < piece ? len - at : piece, used;
        char *copy = xmalloc(n);
        memcpy(copy, data + at, n);
        status = json_scan_feed(&s, copy, n, &used);
        free(copy);
        at += used;
    }
    if (status == JSON_SCAN_MORE) status = json_scan_finish(&s);
    if (status == JSON_SCAN_WHOLE) {
        while (at < len && data[at] && strchr(" \t\r\n", data[at])) at++;
    }
    *offset = at;
    return status == JSON_SCAN_WHOLE && at == len;
}

static void check_case(const char *name, char verdict, const char *data, size_t len)
{
    size_t offset = len, piece_offset;
    const char *error = NULL;
    bool valid = json_valid(data, len, &offset, &error);
    if (verdict == 'y') cr_assert(valid, "%s: %s at %zu", name, error, offset);
    if (verdict == 'n') cr_assert(!valid, "%s was accepted", name);
    if (!valid) cr_assert(error && offset <= len, "%s: the fault has a reason and a place", name);
    for (size_t piece = 1; piece < 40; piece += piece < 4 ? 1 : 11) {
        cr_assert_eq(valid_in_pieces(data, len, piece, &piece_offset), valid, "%s in pieces of %zu", name, piece);
        if (!valid) cr_assert_eq(piece_offset, offset, "%s in pieces of %zu", name, piece);
    }
}

Test(json_scan, agrees_with_the_json_test_suite_whole_and_in_pieces)
{
    cr_assert_eq(json_suite_each(check_case), 318);
    assert_no_leak();
}

static void expect_fault(const char *text, size_t offset, const char *phrase)
{
    size_t at = 0;
    const char *error = "";
    cr_assert(!json_valid(text, strlen(text), &at, &error), "%s", text);
    cr_assert_eq(at, offset, "%s: fault at %zu, not %zu", text, at, offset);
    cr_assert_str_eq(error, phrase);
}

Test(json_scan, says_what_was_expected_and_where)
{
    expect_fault("", 0, "the text ends too early");
    expect_fault("[1,]", 3, "a value was expected");
    expect_fault("[1 2]", 3, "a comma or ] was expected");
    expect_fault("{\"a\" 1}", 5, "a colon was expected");
    expect_fault("{\"a\":1,}", 7, "a name in quotes was expected");
    expect_fault("{1:2}", 1, "a name in quotes or } was expected");
    expect_fault("{\"a\":1]", 6, "a comma or } was expected");
    expect_fault("\"a\nb\"", 2, "a control character in a string is not escaped");
    expect_fault("\"\\x\"", 2, "an unknown escape in a string");
    expect_fault("\"\\u12g4\"", 5, "four hexadecimal digits were expected");
    expect_fault("\"\xC0\xAF\"", 1, "a string is not valid UTF-8");
    expect_fault("\"\xED\xA0\x80\"", 2, "a string is not valid UTF-8");
    expect_fault("-", 1, "the text ends too early");
    expect_fault("-x", 1, "a digit was expected");
    expect_fault("1.e5", 2, "a digit was expected");
    expect_fault("01", 1, "nothing was expected after the value");
    expect_fault("nul", 3, "the text ends too early");
    expect_fault("nule", 3, "a word that is not true, false or null");
    expect_fault("NaN", 0, "a value was expected");
    expect_fault("\xFF", 0, "a value was expected, not a byte that is never in UTF-8");
    expect_fault("[\xFE]", 1, "a value was expected, not a byte that is never in UTF-8");
    expect_fault("1 2", 2, "nothing was expected after the value");
}

Test(json_scan, checks_every_two_and_three_byte_form_of_utf8)
{
    for (unsigned a = 0x80; a < 0x100; a++) {
        for (unsigned b = 0; b < 0x100; b++) {
            char two[] = {'"', (char)a, (char)b, '"'}, three[] = {'"', (char)a, (char)b, (char)0xBF, '"'};
            size_t at;
            const char *why;
            bool continues = b >= 0x80 && b <= 0xBF;
            bool two_ok = a >= 0xC2 && a <= 0xDF && continues;
            bool three_ok = a >= 0xE0 && a <= 0xEF && continues && !(a == 0xE0 && b < 0xA0) && !(a == 0xED && b > 0x9F);
            cr_assert_eq(json_valid(two, sizeof(two), &at, &why), two_ok, "%02x %02x", a, b);
            cr_assert_eq(json_valid(three, sizeof(three), &at, &why), three_ok, "%02x %02x BF", a, b);
        }
    }
    size_t at;
    const char *why;
    cr_assert(json_valid("\"\xF4\x8F\xBF\xBF\"", 6, &at, &why));
    cr_assert(!json_valid("\"\xF4\x90\x80\x80\"", 6, &at, &why));
    cr_assert(!json_valid("\"\xF0\x8F\xBF\xBF\"", 6, &at, &why));
}

Test(json_scan, finds_a_special_byte_at_every_place_of_a_long_string)
{
    char text[100];
    size_t at;
    const char *why;
    for (size_t place = 1; place < sizeof(text) - 1; place++) {
        memset(text, 'a', sizeof(text));
        text[0] = text[sizeof(text) - 1] = '"';
        cr_assert(json_valid(text, sizeof(text), &at, &why));
        text[place] = '\x1F';
        cr_assert(!json_valid(text, sizeof(text), &at, &why));
        cr_assert_eq(at, place);
        text[place] = '\xFF';
        cr_assert(!json_valid(text, sizeof(text), &at, &why));
        cr_assert_eq(at, place);
        text[place] = '\x7F';
        cr_assert(json_valid(text, sizeof(text), &at, &why));
    }
}

Test(json_scan, a_number_at_top_level_ends_at_the_byte_behind_it)
{
    struct json_scan s;
    size_t used;
    json_scan_init(&s, 10);
    cr_assert_eq(json_scan_feed(&s, " 12", 3, &used), JSON_SCAN_MORE);
    cr_assert_eq(used, 3);
    cr_assert_eq(json_scan_feed(&s, "3,", 2, &used), JSON_SCAN_WHOLE);
    cr_assert_eq(used, 1);
    cr_assert_eq(json_scan_feed(&s, ",", 1, &used), JSON_SCAN_WHOLE, "no byte is read after a complete value");
    cr_assert_eq(used, 0);
}

Test(json_scan, nesting_beyond_the_limit_is_refused_and_up_to_it_is_not)
{
    struct json_scan s;
    size_t used;
    json_scan_init(&s, 2);
    cr_assert_eq(json_scan_feed(&s, "[{}]", 4, &used), JSON_SCAN_WHOLE);
    json_scan_init(&s, 2);
    cr_assert_eq(json_scan_feed(&s, "[{\"a\":[]}]", 10, &used), JSON_SCAN_ERROR);
    cr_assert_eq(used, 6);
    char deep[2 * LIMIT_JSON_DEPTH + 2];
    memset(deep, '[', LIMIT_JSON_DEPTH);
    memset(deep + LIMIT_JSON_DEPTH, ']', LIMIT_JSON_DEPTH);
    size_t at;
    const char *why;
    cr_assert(json_valid(deep, 2 * (size_t)LIMIT_JSON_DEPTH, &at, &why));
    memset(deep, '[', LIMIT_JSON_DEPTH + 1);
    memset(deep + LIMIT_JSON_DEPTH + 1, ']', LIMIT_JSON_DEPTH + 1);
    cr_assert(!json_valid(deep, sizeof(deep), &at, &why));
    cr_assert_eq(at, LIMIT_JSON_DEPTH);
}

Test(json_scan, value_length_stops_behind_the_first_value)
{
    cr_assert_eq(json_value_length("12,13", 5), 2);
    cr_assert_eq(json_value_length("{\"a\":[1]} x", 11), 9);
    cr_assert_eq(json_value_length("\"a\\\"b\",", 7), 6);
    cr_assert_eq(json_value_length("trueish", 7), 4);
    cr_assert_eq(json_value_length("-0.5e+7", 7), 7);
    cr_assert_eq(json_value_length(" 1", 2), 0);
    cr_assert_eq(json_value_length("1e", 2), 0);
    cr_assert_eq(json_value_length("", 0), 0);
}

Test(json_walk, members_and_elements_come_as_slices_of_the_text)
{
    const char text[] = " { \"a\" : 12345678901234567890 , \"b\\u0062\":[ true , {} ] } ";
    struct json_walk w;
    struct json_slice name, value;
    cr_assert(json_walk_init(&w, text, strlen(text)));
    cr_assert(json_walk_next(&w, &name, &value));
    cr_assert(json_string_is(name, "a"));
    cr_assert(value.len == 20 && memcmp(value.data, "12345678901234567890", 20) == 0);
    cr_assert(json_walk_next(&w, &name, &value));
    cr_assert(json_string_is(name, "bb"));
    cr_assert(!json_walk_next(&w, &name, NULL));
    cr_assert(json_walk_init(&w, value.data, value.len));
    cr_assert(json_walk_next(&w, &name, &value));
    cr_assert(name.len == 0 && value.len == 4);
    cr_assert(json_walk_next(&w, NULL, &value));
    cr_assert(value.len == 2 && value.data[0] == '{');
    cr_assert(!json_walk_next(&w, NULL, NULL));
    cr_assert(!json_walk_init(&w, "1", 1));
    assert_no_leak();
}

Test(json_walk, strings_are_decoded_to_what_they_mean)
{
    const char text[] = "\"a\\n\\\"\\u00e9\\uD834\\uDD1E\\uD834x\\u0000\"";
    const char meaning[] = "a\n\"\xC3\xA9\xF0\x9D\x84\x9E\xEF\xBF\xBDx";
    struct buf out = {0};
    cr_assert(json_string_decode((struct json_slice){text, strlen(text)}, &out));
    cr_assert_eq(out.len, sizeof(meaning), "the escaped NUL is part of the text");
    cr_assert(memcmp(out.data, meaning, out.len) == 0);
    cr_assert(!json_string_is((struct json_slice){"\"a\\u0000\"", 9}, "a"));
    buf_release(&out);
    assert_no_leak();
}
