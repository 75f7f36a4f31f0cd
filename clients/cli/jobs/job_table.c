#include "cli/jobs/job_table.h"

#include <time.h>

#include "cli/jobs/id_prefix.h"

#define CELL_MAX 40 /* a longer task name is cut */

static const char *const headings[] = {"ID", "STATUS", "TASK", "DONE", "FAILED", "AGE", "LABELS"};
static_assert(ARRAY_SIZE(headings) == JOB_COLUMN_COUNT, "a heading for each column");

/* Appends the text. A control character, which could change the terminal, becomes a question mark. The control
 * characters from U+0080 to U+009F have two bytes in UTF-8. */
static void add_visible(struct buf *out, const struct buf *text)
{
    for (size_t i = 0; i < text->len; i++) {
        unsigned char c = (unsigned char)text->data[i];
        bool is_long = c == 0xc2 && i + 1 < text->len && (unsigned char)text->data[i + 1] < 0xa0;
        buf_add_char(out, c < ' ' || c == 0x7f || is_long ? '?' : (char)c);
        i += is_long;
    }
}

static void add_string(struct buf *out, struct json_slice string)
{
    struct buf text = {0};
    if (string.len && json_string_decode(string, &text)) add_visible(out, &text);
    buf_release(&text);
}

/* Appends the strings of an array, or the members of an object with their values. */
static void add_members(struct buf *out, struct json_slice value)
{
    struct json_walk walk;
    struct json_slice name, member;
    if (!value.len || !json_walk_init(&walk, value.data, value.len)) return;
    for (bool first = true; json_walk_next(&walk, &name, &member); first = false) {
        if (!first) buf_add_str(out, name.len ? ", " : ",");
        add_string(out, name.len ? name : member);
        if (name.len) buf_addf(out, " %.*s", (int)member.len, member.data);
    }
}

void job_age_add(struct buf *out, int64_t ms)
{
    static const struct {
        int64_t seconds;
        const char *unit;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    int64_t s = ms < 0 ? 0 : ms / 1000;
    size_t i = 0;
    /* Uses the largest unit of which the age has at least two. For example, 90 min is more precise than 1 h. */
    while (i + 1 < ARRAY_SIZE(units) && s < 2 * units[i].seconds) i++;
    buf_addf(out, "%lld %s", (long long)(s / units[i].seconds), units[i].unit);
}

static void add_cell(struct buf *out, const struct remote_job *j, enum job_column column, size_t id_shown,
                     int64_t now_ms)
{
    switch (column) {
    case COLUMN_ID: buf_addf(out, "%.*s", (int)id_shown, j->id); break;
    case COLUMN_STATUS: buf_add_str(out, remote_status_words[j->status]); break;
    case COLUMN_TASK:
        add_string(out, j->task);
        if (out->len > CELL_MAX) {
            out->len = CELL_MAX - 3;
            buf_add_str(out, "...");
        }
        break;
    case COLUMN_DONE:
        buf_addf(out, "%llu/%llu", (unsigned long long)remote_job_done(j), (unsigned long long)j->total);
        break;
    case COLUMN_FAILED: buf_addf(out, "%llu", (unsigned long long)j->failed); break;
    case COLUMN_AGE: job_age_add(out, j->created_ms ? now_ms - j->created_ms : (int64_t)(j->elapsed_s * 1000)); break;
    case COLUMN_LABELS:
        if (j->durable)
            add_members(out, j->labels);
        else
            buf_add_str(out, "(not durable)");
        break;
    case JOB_COLUMN_COUNT: break;
    }
}

static void pad(struct buf *out, size_t from, size_t width)
{
    while (out->len - from < width + 2) buf_add_char(out, ' ');
}

static void add_row(const struct job_table *t, struct buf *out, const struct remote_job *j, int64_t now_ms)
{
    struct buf cell = {0};
    for (int column = 0; column < JOB_COLUMN_COUNT; column++) {
        size_t from = out->len;
        buf_clear(&cell);
        if (j)
            add_cell(&cell, j, (enum job_column)column, t->id_shown, now_ms);
        else
            buf_add_str(&cell, headings[column]);
        if (cell.len) buf_add(out, cell.data, cell.len);
        if (column != COLUMN_LABELS) pad(out, from, t->width[column]);
    }
    buf_release(&cell);
    while (out->len && out->data[out->len - 1] == ' ') out->len--;
    buf_add_char(out, '\n');
}

static void widen(size_t *width, size_t to)
{
    if (to > *width) *width = to;
}

static void measure(struct job_table *t, const struct remote_job *jobs, size_t count, int64_t now_ms)
{
    struct buf cell = {0};
    widen(&t->id_shown, ID_PREFIX_SHOWN);
    for (size_t i = 0; i < count; i++) {
        widen(&t->id_shown, id_prefix_length(jobs[i].id, t->last_id));
        for (size_t n = 0; n < i; n++) widen(&t->id_shown, id_prefix_length(jobs[i].id, jobs[n].id));
    }
    for (size_t i = 0; i < count; i++)
        for (int column = 0; column < COLUMN_LABELS; column++) {
            buf_clear(&cell);
            add_cell(&cell, &jobs[i], (enum job_column)column, t->id_shown, now_ms);
            widen(&t->width[column], cell.len);
        }
    for (int column = 0; column < COLUMN_LABELS; column++) widen(&t->width[column], strlen(headings[column]));
    buf_release(&cell);
}

void job_table_add(struct job_table *t, struct buf *out, const struct remote_job *jobs, size_t count, int64_t now_ms)
{
    bool first = t->id_shown == 0;
    measure(t, jobs, count, now_ms);
    if (first) add_row(t, out, NULL, now_ms);
    for (size_t i = 0; i < count; i++) add_row(t, out, &jobs[i], now_ms);
    if (count) snprintf(t->last_id, sizeof(t->last_id), "%s", jobs[count - 1].id);
}

static void add_fact(struct buf *out, const char *name, const struct buf *text)
{
    if (text->len) buf_addf(out, "%-9s %.*s\n", name, (int)text->len, text->data);
}

static void add_time(struct buf *out, const char *name, int64_t ms, int64_t now_ms)
{
    struct buf text = {0};
    char clock[32];
    struct tm date;
    time_t seconds = (time_t)(ms / 1000);
    if (ms == 0 || !gmtime_r(&seconds, &date)) return;
    strftime(clock, sizeof(clock), "%Y-%m-%d %H:%M:%S", &date);
    buf_addf(&text, "%s UTC, ", clock);
    job_age_add(&text, now_ms - ms);
    buf_add_str(&text, " ago");
    add_fact(out, name, &text);
    buf_release(&text);
}

static void add_notice(struct buf *out, const struct remote_job *j)
{
    struct buf text = {0};
    unsigned long long n = j->notice_attempts;
    add_string(&text, j->notice);
    if (text.len && n) buf_addf(&text, ", %llu attempt%s", n, n == 1 ? "" : "s");
    if (text.len && j->notice_reason.len) {
        buf_add_str(&text, ": ");
        add_string(&text, j->notice_reason);
    }
    add_fact(out, "notice", &text);
    buf_release(&text);
}

void job_facts_add(struct buf *out, const struct remote_job *j, int64_t now_ms)
{
    struct buf text = {0};
    buf_addf(out, "%-9s %s\n%-9s %s\n", "id", j->id, "status", remote_status_words[j->status]);
    add_string(&text, j->task);
    add_fact(out, "task", &text);
    buf_addf(out, "%-9s %llu of %llu done, %llu failed, %llu cancelled\n", "items",
             (unsigned long long)remote_job_done(j), (unsigned long long)j->total, (unsigned long long)j->failed,
             (unsigned long long)j->cancelled);
    buf_clear(&text);
    add_members(&text, j->errors);
    add_fact(out, "errors", &text);
    buf_clear(&text);
    add_string(&text, j->reason);
    add_fact(out, "reason", &text);
    buf_clear(&text);
    if (j->waiting.len) buf_add_str(&text, remote_waiting_words(j->waiting.data, j->waiting.len));
    if (j->waiting_detail.len) buf_add_str(&text, ": ");
    add_string(&text, j->waiting_detail);
    add_fact(out, "waits", &text);
    buf_clear(&text);
    add_members(&text, j->labels);
    add_fact(out, "labels", &text);
    add_time(out, "created", j->created_ms, now_ms);
    add_time(out, "started", j->started_ms, now_ms);
    add_time(out, "ended", j->ended_ms, now_ms);
    add_notice(out, j);
    buf_clear(&text);
    if (j->eta_s >= 0 && !remote_job_has_ended(j)) job_age_add(&text, (int64_t)(j->eta_s * 1000));
    add_fact(out, "left", &text);
    if (j->redrives) buf_addf(out, "%-9s %llu\n", "redrives", (unsigned long long)j->redrives);
    if (!j->durable) buf_addf(out, "%-9s %s\n", "durable", "no: the job ends when its client disconnects");
    buf_release(&text);
}
