#include "cli/report/progress.h"

#include "cli/base/color.h"
#include "cli/base/complain.h"
#include "cli/base/count.h"
#include "cli/base/status_line.h"

#define SMOOTHING_S 2.0

void progress_init(struct progress *p, bool on, uint64_t now)
{
    *p = (struct progress){.on = on, .started_ns = now, .rate_ns = now};
}

static void measure(struct progress *p, uint64_t done, uint64_t now)
{
    double span_s = (double)(now - p->rate_ns) / 1e9;
    if (span_s <= 0) return;
    double rate = (double)(done - p->rate_done) / span_s;
    /* The first measurement is used unchanged; later ones are smoothed. */
    double weight = p->rate_done == 0 ? 1 : span_s / (span_s + SMOOTHING_S);
    p->rate += (rate - p->rate) * weight;
    p->rate_ns = now;
    p->rate_done = done;
}

static double seconds_since(uint64_t then, uint64_t now)
{
    return (double)(now - then) / 1e9;
}

void progress_draw(struct progress *p, struct progress_state *s, uint64_t now)
{
    if (!p->on || now - p->drawn_ns < PROGRESS_MS * NS_PER_MS) return;
    struct buf line = {0};
    measure(p, s->done, now);
    p->drawn_ns = now;
    s->rate = p->rate;
    s->colored = color_is_on();
    s->seconds = seconds_since(p->started_ns, now);
    /* The last column stays free, because a character there makes some terminals begin a new line. */
    progress_line_add(&line, s, status_line_columns() - 1);
    status_line_show(line.data, line.len);
    buf_release(&line);
}

void progress_end(struct progress *p, uint64_t done, bool succeeded, uint64_t now)
{
    if (!p->on) return;
    status_line_end();
    if (!succeeded) return;
    struct buf line = {0};
    count_add(&line, done);
    buf_add_str(&line, done == 1 ? " item in " : " items in ");
    count_add_duration(&line, seconds_since(p->started_ns, now));
    complain_text(buf_cstr(&line));
    buf_release(&line);
}
