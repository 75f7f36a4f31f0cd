#include "cli/remote/remote_job.h"

#include <time.h>

#include "cli/base/exit_status.h"

const char *const remote_status_words[] = {"pending", "running",   "succeeded", "partial",
                                           "failed",  "cancelled", "timed_out"};
static_assert(ARRAY_SIZE(remote_status_words) == REMOTE_STATUS_COUNT, "a word for each status");

bool remote_status_parse(const char *word, size_t len, enum remote_status *status)
{
    for (size_t i = 0; i < REMOTE_STATUS_COUNT; i++) {
        if (strlen(remote_status_words[i]) != len || memcmp(remote_status_words[i], word, len) != 0) continue;
        *status = (enum remote_status)i;
        return true;
    }
    return false;
}

static int64_t days_since_1970(int year, int month, int day)
{
    struct tm date = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};
    return (int64_t)timegm(&date) / 86400;
}

int64_t remote_time_read(const char *text, size_t len)
{
    char copy[40];
    int year, month, day, hour, minute;
    double second;
    if (len >= sizeof(copy)) return 0;
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (sscanf(copy, "%4d-%2d-%2dT%2d:%2d:%lfZ", &year, &month, &day, &hour, &minute, &second) != 6) return 0;
    int64_t minutes = days_since_1970(year, month, day) * 1440 + hour * 60 + minute;
    return minutes * 60000 + (int64_t)(second * 1000 + 0.5);
}

static bool is_null(struct json_slice value)
{
    return value.len == 4 && memcmp(value.data, "null", 4) == 0;
}

static struct json_slice without_quotes(struct json_slice value)
{
    if (value.len < 2 || value.data[0] != '"') return (struct json_slice){"", 0};
    return (struct json_slice){value.data + 1, value.len - 2};
}

static uint64_t read_count(struct json_slice value)
{
    return strtoull(value.data, NULL, 10);
}

static void read_counts(struct remote_job *j, struct json_slice counts)
{
    struct json_walk walk;
    struct json_slice name, value;
    if (!json_walk_init(&walk, counts.data, counts.len)) return;
    while (json_walk_next(&walk, &name, &value)) {
        if (json_string_is(name, "total")) j->total = read_count(value);
        if (json_string_is(name, "succeeded")) j->succeeded = read_count(value);
        if (json_string_is(name, "failed")) j->failed = read_count(value);
        if (json_string_is(name, "cancelled")) j->cancelled = read_count(value);
    }
}

static void read_time(int64_t *ms, struct json_slice value)
{
    struct json_slice text = without_quotes(value);
    *ms = remote_time_read(text.data, text.len);
}

static void read_waiting(struct remote_job *j, struct json_slice waiting)
{
    struct json_walk walk;
    struct json_slice name, value;
    if (!json_walk_init(&walk, waiting.data, waiting.len)) return;
    while (json_walk_next(&walk, &name, &value))
        if (json_string_is(name, "reason"))
            j->waiting = without_quotes(value);
        else if (json_string_is(name, "detail"))
            j->waiting_detail = value;
}

static void read_notify(struct remote_job *j, struct json_slice notify)
{
    struct json_walk walk;
    struct json_slice name, value;
    if (!json_walk_init(&walk, notify.data, notify.len)) return;
    while (json_walk_next(&walk, &name, &value)) {
        if (is_null(value)) continue;
        if (json_string_is(name, "status")) j->notice = value;
        if (json_string_is(name, "reason")) j->notice_reason = value;
        if (json_string_is(name, "attempts")) j->notice_attempts = read_count(value);
    }
}

/* Reads an optional member. */
static void read_detail(struct remote_job *j, struct json_slice name, struct json_slice value)
{
    if (json_string_is(name, "result")) j->result = value; /* null is a result too */
    if (is_null(value)) return;
    if (json_string_is(name, "reduce")) j->is_reduced = true;
    if (json_string_is(name, "counts")) read_counts(j, value);
    if (json_string_is(name, "labels")) j->labels = value;
    if (json_string_is(name, "errors")) j->errors = value;
    if (json_string_is(name, "reason")) j->reason = value;
    if (json_string_is(name, "waiting")) read_waiting(j, value);
    if (json_string_is(name, "notify")) read_notify(j, value);
    if (json_string_is(name, "durable")) j->durable = value.data[0] == 't';
    if (json_string_is(name, "redrive_count")) j->redrives = read_count(value);
    if (json_string_is(name, "eta_s")) j->eta_s = strtod(value.data, NULL);
    if (json_string_is(name, "elapsed_s")) j->elapsed_s = strtod(value.data, NULL);
    if (json_string_is(name, "created_at")) read_time(&j->created_ms, value);
    if (json_string_is(name, "started_at")) read_time(&j->started_ms, value);
    if (json_string_is(name, "ended_at")) read_time(&j->ended_ms, value);
}

bool remote_job_read(struct remote_job *j, const char *text, size_t len)
{
    struct json_walk walk;
    struct json_slice name, value;
    bool has_status = false;
    while (len > 0 && strchr(" \t\r\n", text[0])) text++, len--;
    while (len > 0 && strchr(" \t\r\n", text[len - 1])) len--;
    *j = (struct remote_job){.text = {text, len}, .eta_s = -1, .elapsed_s = -1};
    if (!json_walk_init_checked(&walk, text, len)) return false;
    while (json_walk_next(&walk, &name, &value)) {
        struct json_slice word = without_quotes(value);
        if (json_string_is(name, "id") && word.len < sizeof(j->id))
            memcpy(j->id, word.data, word.len);
        else if (json_string_is(name, "status"))
            has_status = remote_status_parse(word.data, word.len, &j->status);
        else if (json_string_is(name, "task"))
            j->task = value;
        else
            read_detail(j, name, value);
    }
    return j->id[0] && has_status;
}

bool remote_job_has_ended(const struct remote_job *j)
{
    return j->status >= REMOTE_SUCCEEDED;
}

const char *remote_waiting_words(const char *name, size_t len)
{
    static const struct {
        const char *name, *words;
    } reasons[] = {
        {"no_workers", "no worker can be reached"},
        {"no_task", "no worker has the task"},
        {"token_refused", "the workers refuse the coordinator's token"},
        {"retry_budget", "the retry budget is spent"},
        {"starting", "its task processes are starting"},
        {"store", "the job store is full or cannot be used"},
    };
    static char other[40];
    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
        if (strlen(reasons[i].name) == len && memcmp(reasons[i].name, name, len) == 0) return reasons[i].words;
    snprintf(other, sizeof(other), "%.*s", (int)(len < sizeof(other) ? len : sizeof(other) - 1), name);
    return other;
}

uint64_t remote_job_done(const struct remote_job *j)
{
    return j->succeeded + j->failed;
}

int remote_job_exit_status(const struct remote_job *j)
{
    if (!remote_job_has_ended(j)) return EXIT_NOT_ENDED;
    if (j->status == REMOTE_SUCCEEDED) return EXIT_OK;
    return j->status == REMOTE_PARTIAL ? EXIT_ITEMS_FAILED : EXIT_JOB_FAILED;
}

int remote_job_worse_exit(int a, int b)
{
    static const int from_bad_to_good[] = {EXIT_USAGE, EXIT_JOB_FAILED, EXIT_NOT_ENDED, EXIT_ITEMS_FAILED};
    for (size_t i = 0; i < ARRAY_SIZE(from_bad_to_good); i++)
        if (a == from_bad_to_good[i] || b == from_bad_to_good[i]) return from_bad_to_good[i];
    return EXIT_OK;
}
