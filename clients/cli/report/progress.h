/* The progress line on standard error: items done and failed, items per second, time left. Drawn a few times a second.
 */
#ifndef FANTAIL_CLI_REPORT_PROGRESS_H
#define FANTAIL_CLI_REPORT_PROGRESS_H

#include "cli/report/progress_line.h"
#include "common/base/base.h"

#define PROGRESS_MS 150

struct progress {
    bool on;
    uint64_t started_ns, drawn_ns;
    double rate;                 /* items per second, smoothed */
    uint64_t rate_ns, rate_done; /* when the rate was last measured, and the items done then */
};

void progress_init(struct progress *p, bool on, uint64_t now);
/* Returns whether the line is shown and PROGRESS_MS have passed since it was last drawn. */
bool progress_is_due(const struct progress *p, uint64_t now);
/* Draws the line. Sets `rate` and `seconds` of *s. */
void progress_draw(struct progress *p, struct progress_state *s, uint64_t now);
/* What progress_end() writes. */
struct progress_result {
    uint64_t done;
    uint64_t left_out; /* items that the log of an earlier run has */
};

/* Call it at the end of the run. Erases the line. If the run has succeeded, writes how many items it had and how long
 * it took. If the run has not succeeded, `result` is NULL. */
void progress_end(struct progress *p, const struct progress_result *result, uint64_t now);

#endif
