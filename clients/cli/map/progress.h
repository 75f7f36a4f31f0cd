/* The progress line on standard error: items done, items per second, time left. Drawn a few times a second. */
#ifndef FANTAIL_CLI_MAP_PROGRESS_H
#define FANTAIL_CLI_MAP_PROGRESS_H

#include "common/base/base.h"

#define PROGRESS_MS 150

struct progress {
    bool on;
    bool drawn;
    uint64_t started_ns, drawn_ns;
    double rate;                 /* items per second, smoothed */
    uint64_t rate_ns, rate_done; /* when the rate was last measured, and the items done then */
};

struct progress_state {
    uint64_t done, failed;
    uint64_t total;     /* 0: not known */
    bool total_is_sure; /* false: `total` is estimated from the size of the input file */
    const char *note;   /* a note such as "waiting for a worker"; NULL: none */
};

void progress_init(struct progress *p, bool on, uint64_t now);
/* Draws the line if PROGRESS_MS have passed since it was last drawn. */
void progress_draw(struct progress *p, const struct progress_state *state, uint64_t now);
/* Erases the line. Call it before something else is written to the terminal. */
void progress_clear(struct progress *p);

#endif
