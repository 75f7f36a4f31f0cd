#include "coordinator/notify/notice.h"

#include <criterion/criterion.h>

#include "unit/leaks.h"

Test(notice, it_has_the_id_the_status_and_the_counts_of_the_job)
{
    struct stored_notice n = {.state = STORED_PARTIAL, .items = 3, .ended_ms = 1764385201208};
    struct buf out = {0};
    snprintf(n.job, sizeof n.job, "0195f2c4-0000-7000-8000-000000000001");
    n.counts = (struct stored_counts){.succeeded = 2, .failed = 1, .retried = 4, .hedged = 5};
    notice_write(&out, &n);
    cr_assert_str_eq(buf_cstr(&out),
                     "{\"type\":\"job.ended\",\"timestamp\":\"2025-11-29T03:00:01.208Z\",\"data\":{\"id\":"
                     "\"0195f2c4-0000-7000-8000-000000000001\",\"status\":\"partial\",\"counts\":{\"total\":3,"
                     "\"succeeded\":2,\"failed\":1,\"cancelled\":0,\"retried\":4,\"hedged\":5}}}");
    buf_release(&out);
    assert_no_leaks();
}

Test(notice, only_2xx_and_410_end_it)
{
    static const struct {
        int status;
        enum notice_result result;
    } cases[] = {{200, NOTICE_DELIVERED}, {204, NOTICE_DELIVERED}, {299, NOTICE_DELIVERED}, {410, NOTICE_GONE},
                 {0, NOTICE_FAILED},      {301, NOTICE_FAILED},    {404, NOTICE_FAILED},    {500, NOTICE_FAILED}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        cr_assert_eq(notice_judge(cases[i].status), cases[i].result, "%d", cases[i].status);
}

Test(notice, the_pauses_grow_and_then_it_is_given_up)
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

Test(notice, wrong_pauses_are_refused)
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
