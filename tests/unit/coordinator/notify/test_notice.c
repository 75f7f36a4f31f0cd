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
