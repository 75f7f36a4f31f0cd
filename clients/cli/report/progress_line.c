#include "cli/report/progress_line.h"

#include "cli/base/color.h"
#include "cli/report/count.h"

#define GAP "  "
/* If the estimate of the time left is longer than this, hardly any item has been answered lately. In that case the time
 * left is not shown. */
#define TIME_LEFT_MAX_S (1000 * 3600.0)

enum { FIELD_BYTES = 96, BAR_CELLS = 24, BAR_LEAST_CELLS = 8 };

/* The fields in the order in which they are shown. */
enum field_name { DONE, FAILED, PERCENT, BAR, RATE, TIME, TIME_LEFT, NOTE, FIELD_COUNT };

/* The same fields, the most important first. The bar is not in this list, because it gets the room that the other
 * fields leave. */
static const enum field_name by_importance[] = {DONE, FAILED, NOTE, TIME_LEFT, PERCENT, RATE, TIME};
static_assert(ARRAY_SIZE(by_importance) == FIELD_COUNT - 1, "each field but the bar");

struct fields {
    char text[FIELD_COUNT][FIELD_BYTES]; /* "": not shown */
};

static void set(struct fields *f, enum field_name name, struct buf *text)
{
    snprintf(f->text[name], FIELD_BYTES, "%s", buf_cstr(text));
    buf_clear(text);
}

static void set_counts(struct fields *f, const struct progress_state *s, struct buf *text)
{
    count_add(text, s->done);
    if (s->total) buf_add_str(text, s->total_is_sure ? "/" : "/~");
    if (s->total) count_add(text, s->total);
    buf_add_str(text, s->total ? "" : " items");
    set(f, DONE, text);
    if (!s->failed) return;
    count_add(text, s->failed);
    buf_add_str(text, " failed");
    set(f, FAILED, text);
}

static bool has_part(const struct progress_state *s)
{
    return s->total && s->total >= s->done;
}

static double part_done(const struct progress_state *s)
{
    return (double)s->done / (double)s->total;
}

/* While the run waits, the rate falls towards 0, so the rate cannot be used to compute the time left. */
static bool has_time_left(const struct progress_state *s)
{
    return !s->note && s->total > s->done && s->rate * TIME_LEFT_MAX_S > (double)(s->total - s->done);
}

static void set_times(struct fields *f, const struct progress_state *s, struct buf *text)
{
    buf_addf(text, s->rate < 10 ? "%.1f/s" : "%.0f/s", s->rate);
    set(f, RATE, text);
    count_add_duration(text, s->seconds);
    set(f, TIME, text);
    if (!has_time_left(s)) return;
    buf_add_str(text, "ETA ");
    count_add_duration(text, (double)(s->total - s->done) / s->rate);
    set(f, TIME_LEFT, text);
}

static void set_bar(struct fields *f, const struct progress_state *s, size_t room, struct buf *text)
{
    if (room < BAR_LEAST_CELLS + 2) return;
    unsigned cells = room - 2 < BAR_CELLS ? (unsigned)room - 2 : BAR_CELLS, full = (unsigned)(part_done(s) * cells);
    buf_add_char(text, '[');
    for (unsigned i = 0; i < cells; i++) buf_add_char(text, i < full ? '#' : '.');
    buf_add_char(text, ']');
    set(f, BAR, text);
}

/* Removes the fields that do not fit. Returns the room that is left. */
static size_t fit(struct fields *f, size_t columns)
{
    size_t used = 0;
    if (columns < FIELD_BYTES) f->text[DONE][columns] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(by_importance); i++) {
        char *text = f->text[by_importance[i]];
        size_t len = strlen(text), gap = used ? sizeof GAP - 1 : 0;
        bool fits = used + gap + len <= columns;
        if (!fits) *text = '\0';
        if (*text) used += gap + len;
    }
    size_t with_gap = used + sizeof GAP - 1;
    return with_gap < columns ? columns - with_gap : 0;
}

void progress_line_add(struct buf *line, const struct progress_state *s, size_t columns)
{
    struct fields f = {0};
    struct buf text = {0};
    size_t start = line->len;
    set_counts(&f, s, &text);
    set_times(&f, s, &text);
    if (s->note) snprintf(f.text[NOTE], FIELD_BYTES, "%s", s->note);
    if (has_part(s)) snprintf(f.text[PERCENT], FIELD_BYTES, "%u%%", (unsigned)(part_done(s) * 100));
    size_t room = fit(&f, columns);
    if (has_part(s)) set_bar(&f, s, room, &text);
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (!f.text[i][0]) continue;
        bool colored = i == FAILED && s->colored;
        if (line->len > start) buf_add_str(line, GAP);
        if (colored) buf_add_str(line, COLOR_FAILURE);
        buf_add_str(line, f.text[i]);
        if (colored) buf_add_str(line, COLOR_END);
    }
    buf_release(&text);
}
