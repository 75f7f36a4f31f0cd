#include <criterion/criterion.h>
#include <signal.h>

#include "common/base/buf.h"
#include "unit/leaks.h"

TestSuite(buf, .timeout = 20);

static void assert_text(struct buf *b, const char *want)
{
    cr_assert_str_eq(buf_cstr(b), want);
    cr_assert_eq(b->len, strlen(want));
}

Test(buf, a_zeroed_buffer_is_empty_and_can_be_released_twice)
{
    struct buf b = {0};
    buf_release(&b);
    buf_clear(&b);
    assert_text(&b, "");
    buf_release(&b);
    buf_release(&b);
    assert_no_leaks();
}

Test(buf, grows_and_appends_every_kind)
{
    struct buf b;
    buf_init(&b, 0);
    cr_assert(buf_add(&b, "a\0b", 3));
    cr_assert_eq(memcmp(b.data, "a\0b", 3), 0);
    buf_clear(&b);
    cr_assert(buf_add_str(&b, "x"));
    cr_assert(buf_add_char(&b, '-'));
    cr_assert(buf_addf(&b, "%s=%d", "y", 7));
    cr_assert(buf_add_u64(&b, 0));
    cr_assert(buf_add_u64(&b, UINT64_MAX));
    cr_assert(buf_add_i64(&b, INT64_MIN));
    cr_assert(buf_add_i64(&b, 5));
    assert_text(&b, "x-y=7018446744073709551615-92233720368547758085");
    for (int i = 0; i < 100000; i++) cr_assert(buf_add_char(&b, 'z'));
    cr_assert_eq(b.data[b.len - 1], 'z');
    buf_release(&b);
    assert_no_leaks();
}

Test(buf, the_cap_is_never_passed_and_a_refusal_appends_nothing)
{
    struct buf b;
    buf_init(&b, 5);
    cr_assert(buf_add_str(&b, "abcde"));
    cr_assert_not(buf_add_char(&b, 'f'));
    cr_assert_not(buf_add_str(&b, "fg"));
    cr_assert_not(buf_addf(&b, "%d", 1));
    cr_assert_not(buf_add_u64(&b, 1));
    cr_assert_not(buf_add_json_string(&b, "", 0));
    cr_assert_not(buf_reserve(&b, 1));
    cr_assert_not(buf_reserve(&b, SIZE_MAX));
    assert_text(&b, "abcde");
    buf_clear(&b);
    cr_assert(buf_addf(&b, "%d", 12345), "a text that ends exactly at the cap fits");
    buf_release(&b);
    assert_no_leaks();
}

Test(buf, json_strings_are_escaped)
{
    struct buf b = {0};
    cr_assert(buf_add_json_string(&b, "a\"\\\b\f\n\r\t\x01\0/\x7F", 12));
    assert_text(&b, "\"a\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u0000/\x7F\"");
    buf_release(&b);
    assert_no_leaks();
}

Test(buf, json_strings_keep_valid_utf8_and_replace_the_rest)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80", "\"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\""},
        {"\xC0\xAF", "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},                                 /* overlong */
        {"\xED\xA0\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},                 /* surrogate */
        {"\xF4\x90\x80\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""}, /* beyond U+10FFFF */
        {"x\xE2\x82", "\"x\xEF\xBF\xBD\xEF\xBF\xBD\""},                               /* cut off */
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct buf b = {0};
        cr_assert(buf_add_json_string(&b, cases[i].in, strlen(cases[i].in)));
        assert_text(&b, cases[i].out);
        buf_release(&b);
    }
    assert_no_leaks();
}

Test(buf, a_json_string_is_whole_or_absent_at_every_cap)
{
    static const char text[] = "a\x01\"b\xFF\xC3\xA4z";
    struct buf whole = {0};
    cr_assert(buf_add_json_string(&whole, text, sizeof text - 1));
    for (size_t cap = 1; cap < whole.len + 3; cap++) {
        struct buf b;
        buf_init(&b, cap);
        bool fits = buf_add_json_string(&b, text, sizeof text - 1);
        cr_assert_eq(fits, cap >= whole.len, "cap %zu", cap);
        cr_assert_eq(b.len, fits ? whole.len : 0);
        if (fits) cr_assert_eq(memcmp(b.data, whole.data, whole.len), 0);
        buf_release(&b);
    }
    buf_release(&whole);
    assert_no_leaks();
}

Test(buf, the_front_is_dropped_and_the_memory_handed_over)
{
    struct buf b = {0};
    size_t len = 99;
    buf_add_str(&b, "0123456789");
    buf_drop_front(&b, 4);
    assert_text(&b, "456789");
    buf_drop_front(&b, 60);
    assert_text(&b, "");
    buf_add_str(&b, "mine");
    char *data = buf_detach(&b, &len);
    cr_assert_eq(len, 4);
    cr_assert_eq(memcmp(data, "mine", 4), 0);
    free(data);
    cr_assert_null(buf_detach(&b, NULL));
    assert_no_leaks();
}

Test(buf, a_guess_is_used_for_what_is_long_and_given_back)
{
    struct buf b;
    buf_init(&b, 1000000);
    char bytes[20000] = {0};
    buf_expect(&b, 100, 200000);
    cr_assert_eq(b.alloc, 0, "no memory is reserved for a few bytes");
    buf_expect(&b, sizeof bytes, 200000);
    cr_assert_eq(b.alloc, 200000);
    cr_assert(buf_add(&b, bytes, sizeof bytes));
    buf_expect(&b, sizeof bytes, 2000000);
    cr_assert_eq(b.alloc, 200000, "there is already enough room");
    buf_trim(&b);
    cr_assert_lt(b.alloc, sizeof bytes + 1000);
    char *data = b.data;
    cr_assert(buf_add_str(&b, "a short line after it"));
    cr_assert_eq(b.data, data, "appending a short line does not move a long one");
    b.len = sizeof bytes;
    buf_expect(&b, 1000, 2000000);
    cr_assert_eq(b.alloc, 1000000, "no more than the cap is reserved");
    cr_assert_eq(b.len, sizeof bytes);
    buf_release(&b);
    assert_no_leaks();
}

Test(buf, base_allocates_copies_and_tells_time)
{
    char *copy = xstrndup("hello world", 5), *same = xstrdup(copy);
    cr_assert_str_eq(same, "hello");
    free(copy);
    free(same);
    char *zeroed = xcalloc(3, 2);
    cr_assert_eq(memcmp(zeroed, "\0\0\0\0\0\0", 6), 0);
    zeroed = xrealloc(zeroed, 100);
    free(zeroed);
    uint64_t before = now_ns();
    cr_assert_leq(before, now_ns());
    assert_no_leaks();
}

Test(buf, a_bug_says_where_and_aborts, .signal = SIGABRT)
{
    BUG("number %d", 7);
}

Test(buf, die_exits_with_its_status, .exit_code = 2)
{
    die(2, "no such option: %s", "--x");
}

Test(buf, bytes_are_copied_piece_by_piece_and_none_after_the_last_one)
{
    char to[8] = "";
    size_t at = 0;
    cr_assert_eq(bytes_copy_next(to, 2, "abcde", 5, &at), 2);
    cr_assert_eq(bytes_copy_next(to + 2, 6, "abcde", 5, &at), 3);
    cr_assert_eq(bytes_copy_next(to + 5, 3, "abcde", 5, &at), 0);
    cr_assert_eq(bytes_copy_next(to, 8, NULL, 0, &(size_t){0}), 0);
    cr_assert_str_eq(to, "abcde");
    cr_assert_eq(at, 5);
}
