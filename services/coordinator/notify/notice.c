#include "coordinator/notify/notice.h"

#include "common/observe/utc_time.h"
#include "coordinator/status/status.h"

void notice_write(struct buf *out, const struct stored_notice *n)
{
    const struct sched_counts counts = {.total = n->items,
                                        .succeeded = n->counts.succeeded,
                                        .failed = n->counts.failed,
                                        .cancelled = n->counts.cancelled,
                                        .retried = n->counts.retried,
                                        .hedged = n->counts.hedged};
    buf_add_str(out, "{\"type\":\"job.ended\",\"timestamp\":\"");
    utc_time_write(out, n->ended_ms);
    buf_addf(out, "\",\"data\":{\"id\":\"%s\",\"status\":\"%s\",", n->job, stored_state_name(n->state));
    status_write_counts(out, &counts);
    buf_add_str(out, "}}");
}
