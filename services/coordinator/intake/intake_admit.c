/* Decides which requests for a durable job are refused before their body is read. Also reads the options, and writes
 * the answer 202. */
#include <stdarg.h>

#include "common/observe/utc_time.h"
#include "coordinator/durable/job_document.h"
#include "coordinator/intake/intake_internal.h"
#include "coordinator/intake/request_key.h"
#include "coordinator/job/job_request.h"
#include "coordinator/notify/notify_hosts.h"
#include "protocol/protocol.h"

bool intake_check_key(struct http_exchange *x)
{
    const char *key = http_exchange_header(x, "Idempotency-Key");
    if (http_exchange_header_all(x, "Idempotency-Key", NULL) > 1) {
        http_answer_problem(x, 400, NULL, "the request has more than one Idempotency-Key: send one");
        return false;
    }
    if (key && !request_key_is_valid(key)) {
        http_answer_problem(
            x, 400, NULL,
            "an Idempotency-Key has 1 to %d printable ASCII characters; if the key is in quotes, put a backslash "
            "before each quote and each backslash of the key",
            REQUEST_KEY_BYTES);
        return false;
    }
    return true;
}

bool intake_admit(struct http_exchange *x, const struct durable *d, enum split_format *format)
{
    if (!job_request_format(x, format) || !intake_check_key(x)) return false;
    if (!d->draining) return true;
    http_exchange_set_header(x, "Retry-After", "1");
    http_answer_problem(x, 503, NULL, "the coordinator is shutting down");
    return false;
}

static bool refuse_notify(struct jobspec_error *err, const char *pointer, const char *fmt, ...) PRINTF_LIKE(3, 4);

static bool refuse_notify(struct jobspec_error *err, const char *pointer, const char *fmt, ...)
{
    va_list args;
    err->status = 400;
    snprintf(err->pointer, sizeof err->pointer, "%s", pointer);
    va_start(args, fmt);
    vsnprintf(err->detail, sizeof err->detail, fmt, args);
    va_end(args);
    return false;
}

/* Returns true if the job asks for no notice, or if the operator allows the host of its notice. */
static bool may_notify(const struct durable *d, const struct jobspec *spec, struct jobspec_error *err)
{
    struct notify_target target;
    char why[sizeof err->detail];
    if (!spec->notify_url) return true;
    if (!d->notify_hosts || d->notify_hosts->count == 0)
        return refuse_notify(err, "/notify",
                             "this coordinator sends no notices: its operator must allow the host with --notify-allow, "
                             "and give a secret with --notify-secret-file");
    if (!notify_target_parse(&target, spec->notify_url, why, sizeof why))
        return refuse_notify(err, "/notify/url", "%s", why);
    if (notify_hosts_allow(d->notify_hosts, &target)) return true;
    return refuse_notify(err, "/notify/url",
                         "the operator does not allow this host: --notify-allow must name %s%.100s:%u",
                         target.is_tls ? "" : "http://", target.host, target.port);
}

bool intake_read_spec(struct http_exchange *x, const struct durable *d, const struct splitter *splitter,
                      bool have_items, struct jobspec *spec, struct jobspec_error *err)
{
    jobspec_release(spec);
    return job_request_options(x, splitter, spec, err) && jobspec_finish(spec, have_items, err) &&
           may_notify(d, spec, err);
}

void intake_set_headers(struct http_exchange *x, const char *id, const struct preferences *applied)
{
    struct buf text = {0};
    preferences_write(&text, applied);
    http_exchange_set_header(x, "Preference-Applied", buf_cstr(&text));
    http_exchange_set_header(x, HEADER_JOB, id);
    buf_release(&text);
}

void intake_answer_accepted(struct http_exchange *x, const struct stored_job *job, const struct preferences *applied,
                            enum job_likeness likeness)
{
    const char *hint = job_likeness_hint(likeness, false);
    char location[sizeof PATH_JOBS + 1 + STORE_ID_SIZE];
    struct buf out = {0};
    snprintf(location, sizeof location, PATH_JOBS "/%s", job->id);
    http_exchange_set_header(x, "Location", location);
    intake_set_headers(x, job->id, applied);
    job_document_write(&out, job, utc_time_now(), NULL, hint);
    buf_add_char(&out, '\n');
    http_answer(x, 202, TYPE_JSON, out.data, out.len);
    buf_release(&out);
}
