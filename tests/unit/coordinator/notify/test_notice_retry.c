#include "coordinator/notify/notice_retry.h"

#include <criterion/criterion.h>

Test(notice_retry, only_2xx_and_410_end_it)
{
    static const struct {
        int status;
        enum notice_result result;
    } cases[] = {{200, NOTICE_DELIVERED}, {204, NOTICE_DELIVERED}, {299, NOTICE_DELIVERED}, {410, NOTICE_GONE},
                 {0, NOTICE_FAILED},      {301, NOTICE_FAILED},    {404, NOTICE_FAILED},    {500, NOTICE_FAILED}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        cr_assert_eq(notice_judge(cases[i].status), cases[i].result, "%d", cases[i].status);
}

Test(notice_retry, the_pauses_grow_and_then_it_is_given_up)
{
    struct notice_pauses p;
    char err[200];
    cr_assert(notice_pauses_parse(&p, "5,300,0.5", err, sizeof err), "%s", err);
    cr_assert_eq(notice_pause_ms(&p, 1, 0), 5000);
    cr_assert_eq(notice_pause_ms(&p, 1, 0.5), 5500);
    cr_assert_eq(notice_pause_ms(&p, 2, 0), 300000);
    cr_assert_eq(notice_pause_ms(&p, 3, 0), 500);
    cr_assert_eq(notice_pause_ms(&p, 4, 0), -1);
    cr_assert(notice_pauses_parse(&p, "", err, sizeof err));
    cr_assert_eq(notice_pause_ms(&p, 1, 0), -1, "without pauses there is one attempt");
}

Test(notice_retry, wrong_pauses_are_refused)
{
    static const char *const wrong[] = {"x", "5;6", "-1", "5,,6", "nan", "inf", "0x10", "604801", " 5"};
    struct notice_pauses p;
    char err[200];
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        cr_assert_not(notice_pauses_parse(&p, wrong[i], err, sizeof err), "%s", wrong[i]);
    cr_assert_not(
        notice_pauses_parse(&p, "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1", err, sizeof err),
        "33 of them");
}
