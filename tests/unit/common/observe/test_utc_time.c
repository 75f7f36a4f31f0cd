#include "common/observe/utc_time.h"

#include <criterion/criterion.h>

static void assert_written(int64_t ms, const char *want)
{
    struct buf b = {0};
    utc_time_write(&b, ms);
    cr_assert_str_eq(buf_cstr(&b), want);
    int64_t back;
    cr_assert(utc_time_parse(want, &back));
    cr_assert_eq(back, ms);
    buf_release(&b);
}

Test(utc_time, a_time_is_written_and_read)
{
    assert_written(0, "1970-01-01T00:00:00.000Z");
    assert_written(1795921200123, "2026-11-29T03:00:00.123Z");
    assert_written(1709164799999, "2024-02-28T23:59:59.999Z");
    assert_written(1709164800000, "2024-02-29T00:00:00.000Z");
}

Test(utc_time, other_spellings_are_read)
{
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {
        {"2026-11-29", 1795910400000},
        {"2026-11-29T03:00:00Z", 1795921200000},
        {"2026-11-29t03:00:00z", 1795921200000},
        {"2026-11-29 03:00:00Z", 1795921200000},
        {"2026-11-29T03:00:00.5Z", 1795921200500},
        {"2026-11-29T03:00:00.123456Z", 1795921200123},
        {"2026-11-29T05:30:00+02:30", 1795921200000},
        {"2026-11-29T05:30:00 02:30", 1795921200000},
        {"2026-11-28T23:00:00-04:00", 1795921200000},
        {"1969-12-31", -86400000},
        {"1970-01-01T00:00:00+01:00", -3600000},
        {"0000-02-29", -62162121600000},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int64_t ms;
        cr_assert(utc_time_parse(rows[i].text, &ms), "%s", rows[i].text);
        cr_assert_eq(ms, rows[i].ms, "%s", rows[i].text);
    }
}

Test(utc_time, what_is_no_time_is_refused)
{
    static const char *const texts[] = {"",
                                        "now",
                                        "2026",
                                        "2026-11-29T",
                                        "2026-11-29T03:00:00",
                                        "2026-11-29T03:00Z",
                                        "2026-11-29T24:00:00Z",
                                        "2026-13-01",
                                        "2026-00-01",
                                        "2026-02-29",
                                        "2026-11-31",
                                        "2026-11-29T03:00:00.Z",
                                        "2026-11-29T03:00:00+2",
                                        "2026-11-29T03:00:00Zx",
                                        "-026-11-29",
                                        "2026-11-29T03:00:00+0200"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        int64_t ms;
        cr_assert_not(utc_time_parse(texts[i], &ms), "%s", texts[i]);
    }
}
