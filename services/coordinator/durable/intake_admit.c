/* Which requests ask for a durable job, and which of them are refused before their body is read. */
#include "coordinator/durable/intake.h"
#include "coordinator/durable/request_key.h"
#include "coordinator/job/job_request.h"

bool intake_is_wanted(const struct http_exchange *x)
{
    struct buf prefer = {0};
    bool wanted = false;
    http_exchange_header_all(x, "Prefer", &prefer);
    for (const char *at = buf_cstr(&prefer); *at; at += *at == ',') {
        at += strspn(at, " \t");
        size_t len = strcspn(at, ",; \t");
        wanted |= len == strlen("respond-async") && strncasecmp(at, "respond-async", len) == 0;
        at += strcspn(at, ",");
    }
    buf_release(&prefer);
    return wanted;
}

bool intake_admit(struct http_exchange *x, const struct durable *d, enum split_format *format)
{
    const char *key = http_exchange_header(x, "Idempotency-Key");
    if (!job_request_format(x, format)) return false;
    if (key && !request_key_is_valid(key)) {
        http_answer_problem(x, 400, NULL, "an Idempotency-Key has 1 to %d printable ASCII characters",
                            REQUEST_KEY_BYTES);
        return false;
    }
    if (!d->draining) return true;
    http_exchange_set_header(x, "Retry-After", "1");
    http_answer_problem(x, 503, NULL, "the coordinator is shutting down");
    return false;
}
