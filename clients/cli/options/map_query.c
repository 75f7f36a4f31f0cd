#include "cli/http/query.h"
#include "cli/options/map_options_internal.h"
#include "protocol/protocol.h"

/* Writes 15 significant digits, so that a short time does not become 0. For a limit, 0 would mean: no limit. */
static void add_number(struct buf *path, const char *name, double value)
{
    char number[40];
    snprintf(number, sizeof(number), "%.15g", value);
    query_add(path, name, number);
}

static void add_delay(struct buf *path, double seconds)
{
    add_number(path, "retry.interval_s", seconds);
    add_number(path, "retry.max_delay_s", seconds);
    buf_add_str(path, "&retry.backoff_rate=1&retry.jitter=none");
}

void map_options_query(const struct map_options *o, double deadline_s, struct buf *path)
{
    buf_clear(path);
    buf_add_str(path, PATH_JOBS "?errors=runs&order=");
    buf_add_str(path, map_orders[o->order]);
    query_add(path, "task", o->command ? "command" : o->task);
    if (o->max_attempts) buf_addf(path, "&retry.max_attempts=%lld", (long long)o->max_attempts);
    if (o->retry_on) query_add(path, "retry.on", o->retry_on);
    if (o->retry_delay_s >= 0) add_delay(path, o->retry_delay_s);
    if (o->command || !o->hedge) buf_add_str(path, "&hedge.enabled=false");
    if (o->chunk_size) buf_addf(path, "&chunk_size=%lld", (long long)o->chunk_size);
    if (o->max_concurrency) buf_addf(path, "&max_concurrency=%lld", (long long)o->max_concurrency);
    if (o->max_rate > 0) add_number(path, "max_rate", o->max_rate);
    if (o->item_timeout_s >= 0) add_number(path, "item_timeout_s", o->item_timeout_s);
    if (deadline_s > 0) add_number(path, "deadline_s", deadline_s);
    if (o->common.json.len) query_add(path, "common", o->common.json.data);
    if (o->common.first_line.len) buf_add_str(path, "&first_line=options");
    if (o->reduce) query_add(path, "reduce", o->reduce);
}
