/*
 * Passes on what other processes write to their standard error. Each of these processes has its own pipe, so only whole
 * lines reach our standard error, and no two lines are mixed. The lines of each process keep their order. A line that
 * is longer than RELAY_LINE_BYTES is passed on as several lines.
 */
#ifndef FANTAIL_CLI_REPORT_RELAY_H
#define FANTAIL_CLI_REPORT_RELAY_H

#include "common/base/base.h"
#include "common/base/buf.h"

#define RELAY_LINE_BYTES    (128u << 10)
#define RELAY_WAITING_BYTES (256u << 10) /* while more bytes wait for standard error, the pipes are not read */

/* The unfinished line of one process. A zeroed struct is empty. */
struct relay {
    struct buf line;
    const char *prefix; /* text before each line; NULL: none; borrowed */
};

void relay_release(struct relay *r);
/* Returns whether the pipes may be read now. */
bool relay_has_room(void);
/* Reads from the pipe until it is empty or relay_has_room() returns false. The pipe must be non-blocking. Returns false
 * at the end of the pipe. */
MUST_CHECK bool relay_read(struct relay *r, int fd);
/* Like relay_read(), for bytes that the caller has read. */
void relay_add(struct relay *r, const char *data, size_t len);
/* Passes on the unfinished line. Call this function when the process has ended and relay_read() has read everything. */
void relay_end(struct relay *r);

#endif
