/*
 * The stream protocol's two ends for a host program: whole lines in, by reads as large as the input allows, and bytes
 * out. A line is never copied or scanned twice, whatever its size.
 *
 * Protocol: every line on stdin is one item's JSON; a line that begins with '#' is control and gets no answer
 * ("#common <json>" gives the common value of the items after it, "#traceparent <value>" the span they belong to, with
 * "#tracestate <value>" behind it if there is one; unknown ones are ignored). Every item gets exactly one line on
 * stdout, in order. A last line without its newline was cut off: it is no item.
 */
#ifndef FANTAIL_HOSTS_LINE_IO_H
#define FANTAIL_HOSTS_LINE_IO_H

#include "common/base/base.h"

struct line_reader {
    char *data;
    size_t start;   /* first byte not handed out */
    size_t scanned; /* no newline in [start, scanned) */
    size_t end;
    size_t alloc;
};

/* What control lines have set: the job's common value and the trace of the items that follow. NULL: not set. Owned. */
struct line_common {
    char *json;
    size_t len;
    char *traceparent, *tracestate; /* as the headers of that name */
};

/* Fetches more with one read(); false at the end of the input. Invalidates lines handed out before. */
MUST_CHECK bool line_reader_fill(struct line_reader *r, int fd);
void line_reader_release(struct line_reader *r);

/* Obeys a control line. */
void line_read_control(struct line_common *common, const char *line, size_t len);
void line_common_release(struct line_common *common);

/* Writes everything, waiting as long as it takes; false when nobody reads any more. */
bool write_all(int fd, const char *data, size_t len);

/* Moves stdin and stdout to private descriptors that no child inherits, puts /dev/null at 0, and stderr at 1: what a
 * task prints cannot get between the answers, and it cannot eat items. False: errno says why. */
MUST_CHECK bool claim_stdio(int *items_fd, int *answers_fd);

/* The next whole line that is already here, NUL-terminated in place of its newline. Borrowed until line_reader_fill().
 */
static inline bool line_reader_next(struct line_reader *r, char **line, size_t *len)
{
    if (r->scanned == r->end) return false;
    char *newline = (char *)memchr(r->data + r->scanned, '\n', r->end - r->scanned);
    if (!newline) {
        r->scanned = r->end;
        return false;
    }
    *line = r->data + r->start;
    *len = (size_t)(newline - *line);
    *newline = '\0';
    r->start = r->scanned = (size_t)(newline + 1 - r->data);
    return true;
}

/* No whole line is left here: the caller is about to wait. */
static inline bool line_reader_is_empty(const struct line_reader *r)
{
    return r->start == r->end;
}

#endif
