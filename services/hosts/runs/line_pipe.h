/*
 * The pipe of --line-buffer: a named pipe into which all processes of a run write each line of their commands as soon
 * as the line is complete. `fantail map` reads and prints these lines. A lock on the pipe keeps lines whole, even lines
 * that are longer than what one write() accepts. If the reader is slow, a writer waits.
 */
#ifndef FANTAIL_HOSTS_RUNS_LINE_PIPE_H
#define FANTAIL_HOSTS_RUNS_LINE_PIPE_H

#include "common/base/base.h"

/* Opens the pipe for writing. Returns -1, with errno, on failure. */
MUST_CHECK int line_pipe_open(const char *path);
/* Writes whole lines, and no bytes of another process between them. If the reader has gone, does nothing. */
void line_pipe_write(int fd, const char *lines, size_t len);

#endif
