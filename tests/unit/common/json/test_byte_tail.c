#include <criterion/criterion.h>

#include "common/json/byte_tail.h"
#include "unit/leaks.h"

static void expect(const struct byte_tail *t, const char *text)
{
    size_t len;
    const char *kept = byte_tail_get(t, &len);
    cr_expect_eq(len, strlen(text));
    cr_expect_arr_eq(kept, text, len);
}

Test(byte_tail, the_last_bytes_are_kept_however_they_come)
{
    struct byte_tail t;
    for (size_t piece = 1; piece <= 26; piece++) {
        byte_tail_init(&t, 5);
        for (size_t at = 0; at < 26; at += piece)
            byte_tail_add(&t, "abcdefghijklmnopqrstuvwxyz" + at, at + piece < 26 ? piece : 26 - at);
        expect(&t, "vwxyz");
        cr_expect_leq(t.bytes.len, 10);
        byte_tail_release(&t);
    }
    assert_no_leaks();
}

Test(byte_tail, fewer_bytes_are_all_kept)
{
    struct byte_tail t;
    byte_tail_init(&t, 5);
    expect(&t, "");
    byte_tail_add(&t, "ab", 2);
    expect(&t, "ab");
    byte_tail_clear(&t);
    expect(&t, "");
    byte_tail_release(&t);
    assert_no_leaks();
}

Test(byte_tail, a_tail_of_no_bytes_keeps_none)
{
    struct byte_tail t;
    byte_tail_init(&t, 0);
    byte_tail_add(&t, "abc", 3);
    expect(&t, "");
    byte_tail_release(&t);
    assert_no_leaks();
}
