#include "cli/map/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include "common/base/buf.h"

#define SMOOTHING_S 2.0
#define BAR_CELLS   24
/* If the time left seems to be longer than this, hardly any item was answered lately, and the time is not shown. */
#define TIME_LEFT_MAX_S (1000 * 3600.0)

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

static void add_duration(struct buf *line, double seconds)
{
    unsigned long s = (unsigned long)(seconds + 0.5);
    if (s >= 3600)
        buf_addf(line, "%lu:%02lu:%02lu", s / 3600, s / 60 % 60, s % 60);
    else
        buf_addf(line, "%lu:%02lu", s / 60, s % 60);
}

static void add_count(struct buf *line, double n)
{
    static const char units[] = " kMGT";
    size_t unit = 0;
    while (n >= 10000 && unit < sizeof(units) - 2) {
        n /= 1000;
        unit++;
    }
    buf_addf(line, n < 100 && (unit > 0 || n != (double)(uint64_t)n) ? "%.1f" : "%.0f", n);
    if (unit) buf_add_char(line, units[unit]);
}

static void add_bar(struct buf *line, double part)
{
    unsigned full = (unsigned)(part * BAR_CELLS);
    buf_add_char(line, '[');
    for (unsigned i = 0; i < BAR_CELLS; i++) buf_add_char(line, i < full ? '#' : '.');
    buf_addf(line, "] %3.0f%% ", part * 100);
}

/* While the run waits, the rate falls towards 0, so the time left cannot be computed from it. */
static void add_time_left(struct buf *line, const struct progress *p, const struct progress_state *s)
{
    if (s->note || s->total <= s->done || p->rate * TIME_LEFT_MAX_S <= (double)(s->total - s->done)) return;
    buf_add_str(line, "  ETA ");
    add_duration(line, (double)(s->total - s->done) / p->rate);
}

static void compose(struct buf *line, const struct progress *p, const struct progress_state *s, uint64_t now)
{
    if (s->total && s->total >= s->done) add_bar(line, (double)s->done / (double)s->total);
    add_count(line, (double)s->done);
    if (s->total) {
        buf_add_str(line, s->total_is_sure ? "/" : "/~");
        add_count(line, (double)s->total);
    }
    buf_add_str(line, " items  ");
    add_count(line, p->rate);
    buf_add_str(line, "/s  ");
    add_duration(line, (double)(now - p->started_ns) / 1e9);
    add_time_left(line, p, s);
    if (s->failed) buf_addf(line, "  %llu failed", (unsigned long long)s->failed);
    if (s->note) buf_addf(line, "  %s", s->note);
}

void progress_draw(struct progress *p, const struct progress_state *state, uint64_t now)
{
    if (!p->on || now - p->drawn_ns < PROGRESS_MS * NS_PER_MS) return;
    struct winsize size = {0};
    struct buf line = {0};
    measure(p, state->done, now);
    p->drawn_ns = now;
    compose(&line, p, state, now);
    size_t columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1u : 100;
    if (line.len > columns) line.len = columns;
    fprintf(stderr, "\r%.*s\033[K", (int)line.len, line.data);
    fflush(stderr);
    p->drawn = true;
    buf_release(&line);
}

void progress_clear(struct progress *p)
{
    if (p->drawn) fputs("\r\033[K", stderr);
    p->drawn = false;
}
