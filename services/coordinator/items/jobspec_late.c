/* Decides which options may still change after the first items of a job have been sent. */
#include "coordinator/items/jobspec.h"

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_number(double a, double b)
{
    return !(a < b) && !(a > b);
}

static bool same_retry(const struct job_retry *a, const struct job_retry *b)
{
    return a->max_attempts == b->max_attempts && same_number(a->interval_s, b->interval_s) &&
           same_number(a->backoff_rate, b->backoff_rate) && same_number(a->max_delay_s, b->max_delay_s) &&
           a->jitter == b->jitter && a->on == b->on;
}

static bool same_hedge(const struct jobspec *a, const struct jobspec *b)
{
    return a->hedge_enabled == b->hedge_enabled && same_number(a->hedge_max_extra_percent, b->hedge_max_extra_percent);
}

const char *jobspec_changed_too_late(const struct jobspec *early, const struct jobspec *late)
{
    if (early->task_count != late->task_count) return "/task";
    for (size_t i = 0; i < early->task_count; i++)
        if (!same_text(early->tasks[i], late->tasks[i])) return "/task";
    if (!same_text(early->common, late->common)) return "/common";
    if (!same_number(early->item_timeout_s, late->item_timeout_s)) return "/item_timeout_s";
    if (early->chunk_size != late->chunk_size) return "/chunk_size";
    if (early->max_chunk_bytes != late->max_chunk_bytes) return "/max_chunk_bytes";
    if (!same_retry(&early->retry, &late->retry)) return "/retry";
    if (!same_number(early->deadline_s, late->deadline_s)) return "/deadline_s";
    if (!same_hedge(early, late)) return "/hedge";
    if (jobspec_keeps_order(early) != jobspec_keeps_order(late))
        return early->order != late->order ? "/order" : "/reduce";
    return NULL;
}
