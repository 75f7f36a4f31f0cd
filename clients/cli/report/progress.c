#include "cli/report/progress.h"

#include "cli/base/color.h"
#include "cli/base/complain.h"
#include "cli/report/count.h"
#include "cli/base/status_line.h"

/* The rate is smoothed over about this time, or over this many items if that takes longer. */
#define SMOOTHING_S     2.0
#define SMOOTHING_ITEMS 8.0
#define SMOOTHING_MAX_S 30.0

/* The last column stays free, because a character there makes some terminals begin a new line. After Ctrl-C, a terminal
 * writes ^C after the line. */
enum { FREE_COLUMNS = 3 };

void progress_init(struct progress *p, bool on, uint64_t now)
{
    *p = (struct progress){.on = on, .started_ns = now, .rate_ns = now};
}

static double seconds_since(uint64_t then, uint64_t now)
{
    return (double)(now - then) / 1e9;
}

/* Long items end in bursts, because as many of them run at once as there are slots. So the first rate is the mean since
 * the start, and the fewer items end in a second, the more the rate is smoothed. */
static void measure(struct progress *p, uint64_t done, uint64_t now)
{
    double span_s = seconds_since(p->rate_ns, now), smoothing_s = SMOOTHING_S;
    if (span_s <= 0) return;
    if (p->rate > 0 && SMOOTHING_ITEMS / p->rate > smoothing_s) smoothing_s = SMOOTHING_ITEMS / p->rate;
    if (smoothing_s > SMOOTHING_MAX_S) smoothing_s = SMOOTHING_MAX_S;
    double rate = (double)(done - p->rate_done) / span_s;
    if (p->rate_done == 0)
        p->rate = (double)done / seconds_since(p->started_ns, now);
    else
        p->rate += (rate - p->rate) * span_s / (span_s + smoothing_s);
    p->rate_ns = now;
    p->rate_done = done;
}

bool progress_is_due(const struct progress *p, uint64_t now)
{
    return p->on && now - p->drawn_ns >= PROGRESS_MS * NS_PER_MS;
}

void progress_draw(struct progress *p, struct progress_state *s, uint64_t now)
{
    struct buf line = {0};
    measure(p, s->done, now);
    p->drawn_ns = now;
    s->rate = p->rate;
    s->colored = color_is_on();
    s->seconds = seconds_since(p->started_ns, now);
    size_t columns = status_line_columns();
    progress_line_add(&line, s, columns > FREE_COLUMNS ? columns - FREE_COLUMNS : 1);
    status_line_show(line.data, line.len);
    buf_release(&line);
}

void progress_end(struct progress *p, const struct progress_result *result, uint64_t now)
{
    if (!p->on) return;
    status_line_end();
    if (!result) return;
    struct buf line = {0};
    count_add(&line, result->done);
    buf_add_str(&line, result->done == 1 ? " item in " : " items in ");
    count_add_run_time(&line, seconds_since(p->started_ns, now));
    if (result->left_out) {
        buf_add_str(&line, "; ");
        count_add(&line, result->left_out);
        buf_add_str(&line, result->left_out == 1 ? " was in the log" : " were in the log");
    }
    complain_text(buf_cstr(&line));
    buf_release(&line);
}
