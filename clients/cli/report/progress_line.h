/*
 * The text of the progress line. The counts come first. Fields that do not fit into the terminal are left out, the
 * least important first: the bar, the time that has passed, the rate, the percentage, the time left. Pure.
 */
#ifndef FANTAIL_CLI_REPORT_PROGRESS_LINE_H
#define FANTAIL_CLI_REPORT_PROGRESS_LINE_H

#include "common/base/base.h"
#include "common/base/buf.h"

struct progress_state {
    uint64_t done, failed;
    uint64_t total;     /* 0: not known */
    bool total_is_sure; /* false: `total` is estimated from the size of the input file */
    const char *note;   /* a note such as "waiting for a worker"; NULL: none */
    double rate;        /* items per second */
    double seconds;     /* the time that has passed */
    bool colored;       /* the number of failed items has the colour of failures */
};

/* Appends the line, which takes at most `columns` columns. */
void progress_line_add(struct buf *line, const struct progress_state *s, size_t columns);

#endif
