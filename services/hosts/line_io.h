/*
 * Reads whole lines and writes bytes, for host programs. A line is copied at most once and searched once, even if it is
 * long.
 *
 * The protocol: each line on stdin is the JSON of one item. Each item gets one line on stdout, in the same order. A
 * line that begins with '#' is a control line. A control line applies to the items after it, and gets no answer:
 *
 *     #common JSON          the common value
 *     #traceparent VALUE    the span that the items belong to; "#tracestate VALUE" may follow
 *
 * When a host program has loaded its task, it writes the line "#ready". The host program gets items only after it has
 * written this line.
 *
 * A host program that buffers answers may write the line "#flushed" while an item runs. "#flushed" means that the
 * answers of all finished items are written, and that the answer of the running item will be written before the next
 * item begins. So the worker knows which item is running. Without the line "#flushed", the worker must assume that
 * there are answers in the buffer.
 *
 * Other control lines are ignored. If the last line has no newline, it was cut off and is not an item.
 */
#ifndef FANTAIL_HOSTS_LINE_IO_H
#define FANTAIL_HOSTS_LINE_IO_H

#include "common/base/base.h"

struct line_reader {
    char *data;
    size_t start;   /* where the next line begins */
    size_t scanned; /* no newline is in [start, scanned) */
    size_t end;
    size_t alloc;
};

/* The values from control lines, which apply to the items that follow. The struct owns the strings; NULL: not set. */
struct line_common {
    char *json;
    size_t len;
    char *traceparent, *tracestate; /* the values of the headers with these names */
};

/* Reads more bytes with one read(). Returns false at the end of the input or on failure. Earlier lines become invalid.
 */
MUST_CHECK bool line_reader_fill(struct line_reader *r, int fd);
/* Like line_reader_fill(), but reads no bytes after the end of a line. So the next item stays in the socket until it is
 * needed, and the worker can take it back. */
MUST_CHECK bool line_reader_fill_line(struct line_reader *r, int fd);
void line_reader_release(struct line_reader *r);

/* Applies a control line to `common`. */
void line_read_control(struct line_common *common, const char *line, size_t len);
void line_common_release(struct line_common *common);

/* Writes all bytes, and blocks until they are written. Returns false on failure, for example if the reader has closed
 * its end. */
bool write_all(int fd, const char *data, size_t len);

#define LINE_READY   "#ready\n" /* a host writes this line when it is ready for its first item */
#define LINE_FLUSHED "#flushed\n"

/* Moves stdin and stdout to other descriptors, which a child process does not inherit. Descriptor 0 becomes /dev/null,
 * and descriptor 1 becomes stderr. So a task cannot read items, and its output cannot mix with the answers. On failure
 * returns false and sets errno. */
MUST_CHECK bool claim_stdio(int *items_fd, int *answers_fd);

/* Sets *line to the next whole line that was read, with a NUL in place of its newline. The line is borrowed until
 * line_reader_fill(). Returns false if the buffer has no further whole line. */
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

/* Returns whether all bytes that were read so far have been used. If the result is true, the caller must wait for more
 * bytes. */
static inline bool line_reader_is_empty(const struct line_reader *r)
{
    return r->start == r->end;
}

#endif
