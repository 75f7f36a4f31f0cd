#include "cli/base/exit_status.h"
#include "cli/options/map_options_internal.h"
#include "cli/options/option_values.h"
#include "common/base/cpu_quota.h"
#include "common/base/limits.h"

/* All errors for which an item may be run again. */
#define ANY_ERROR "task_error,crashed,timed_out,out_of_memory,bad_output,worker_lost,start_timed_out"

/* On a running fleet, the number limits the items in flight. A private fleet gets that many processes. */
static int check_jobs(struct map_options *o)
{
    unsigned n = 0;
    if (!o->jobs) return EXIT_OK;
    if (o->client.url) {
        if (o->max_concurrency) return map_options_complain("jobs", "cannot be given together with --max-concurrency");
        if (o->jobs[strspn(o->jobs, "0123456789")] || !option_read_jobs(o->jobs, 1, LIMIT_CONCURRENCY, &n))
            return map_options_complain("jobs", "must be a number, because --url or FANTAIL_URL names a running fleet");
        o->max_concurrency = n;
        return EXIT_OK;
    }
    if (o->processes) return map_options_complain("jobs", "cannot be given together with --processes");
    if (!option_read_jobs(o->jobs, cpu_quota(), LIMIT_TASK_PROCESSES, &n))
        return map_options_complain("jobs",
                                    "must be a number of processes up to " TEXT_OF(
                                        LIMIT_TASK_PROCESSES) ", such as 8, or 150%, +2 or -1 of the processors");
    o->processes = n;
    /* A worker has the next items ready while one runs, and they may come from several chunks. Whoever asks for one
     * item at a time expects them in order. */
    if (n == 1 && o->max_concurrency == 0) o->max_concurrency = 1;
    return EXIT_OK;
}

static int check_retries(struct map_options *o)
{
    o->retry_delay_s = -1;
    if (o->retries && o->max_attempts)
        return map_options_complain("retries", "cannot be given together with --max-attempts");
    if (o->retries) o->max_attempts = o->retries;
    /* A command can have side effects. So it runs once for each item, as with xargs, if the user does not ask for more.
     */
    if (o->command && o->max_attempts == 0) o->max_attempts = 1;
    const char *alone = o->retry_on ? "retry-on" : o->delay_retry ? "delay-retry" : NULL;
    if (alone && o->max_attempts == 1)
        return map_options_complain(alone, "has no effect without --retries N, where N is at least 2");
    if (o->retry_on && !option_is_error_list(o->retry_on))
        return map_options_complain("retry-on", "must be names from this list, separated by commas: " ANY_ERROR);
    if (o->retries && !o->retry_on) o->retry_on = ANY_ERROR;
    if (o->delay_retry && !option_read_duration(o->delay_retry, &o->retry_delay_s))
        return map_options_complain("delay-retry", "must be a number of seconds, or a number with s, m, h or d");
    return EXIT_OK;
}

static int check_timeout(struct map_options *o)
{
    if (!o->timeout) return EXIT_OK;
    if (o->item_timeout_s >= 0)
        return map_options_complain("timeout", "cannot be given together with --item-timeout-s");
    if (!option_read_duration(o->timeout, &o->item_timeout_s))
        return map_options_complain("timeout", "must be a number of seconds, or a number with s, m, h or d");
    return EXIT_OK;
}

int map_control_check(struct map_options *o)
{
    int status = check_jobs(o);
    if (!status) status = check_retries(o);
    if (!status) status = check_timeout(o);
    if (!status && o->keep_order && o->order != MAP_ORDER_INPUT)
        status = map_options_complain("keep-order", "cannot be given together with --order completion");
    return status;
}
