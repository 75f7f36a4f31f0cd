#include <criterion/criterion.h>

#include "common/net/prefer_header.h"

Test(prefer_header, preferences_are_found_among_others_and_bad_ones_are_ignored)
{
    static const struct {
        const char *text;
        bool respond_async, waits;
        unsigned wait_s;
    } rows[] = {
        {"", false, false, 0},
        {",,", false, false, 0},
        {"respond-async", true, false, 0},
        {"Respond-Async, WAIT=10", true, true, 10},
        {" wait = 10 ;x=1,\trespond-async", true, true, 10},
        {"wait=\"10\"", false, true, 10},
        {"wait=0", false, true, 0},
        {"wait=007", false, true, 7},
        {"wait=99999999999999999999999", false, true, 3600},
        {"wait=5, wait=6", false, true, 5},
        {"wait", false, false, 0},
        {"wait=", false, false, 0},
        {"wait=-1", false, false, 0},
        {"wait=1.5", false, false, 0},
        {"wait=ten", false, false, 0},
        {"waits=3, xwait=3", false, false, 0},
        {"foo=\"a, wait=3, respond-async\"", false, false, 0},
        {"foo=\"a\\\", wait=3\", respond-async", true, false, 0},
        {"foo=\"open, wait=3", false, false, 0},
        {"return=minimal;wait=3", false, false, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct preferences p = preferences_read(rows[i].text, 3600);
        cr_expect_eq(p.respond_async, rows[i].respond_async, "%s", rows[i].text);
        cr_expect_eq(p.waits, rows[i].waits, "%s", rows[i].text);
        cr_expect_eq(p.wait_s, rows[i].wait_s, "%s: %u", rows[i].text, p.wait_s);
    }
}

Test(prefer_header, what_was_applied_is_written_as_it_was_asked)
{
    static const char *const texts[] = {"", "respond-async", "wait=10", "respond-async, wait=0"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct buf out = {0};
        struct preferences p = preferences_read(texts[i], 3600);
        preferences_write(&out, &p);
        cr_expect_str_eq(buf_cstr(&out), texts[i]);
        buf_release(&out);
    }
}
