/*
 * What `fantail` writes to standard error: messages, and below them the status line, such as the progress of a run. A
 * message is written above the status line: one write erases the line, adds the message and draws the line again. So
 * the status line is never missing, and never mixed with a message. Global state.
 */
#ifndef FANTAIL_CLI_BASE_STATUS_LINE_H
#define FANTAIL_CLI_BASE_STATUS_LINE_H

#include "common/base/base.h"

/* Draws the line in place of the previous one. `text` has no newline and fits into the terminal. */
void status_line_show(const char *text, size_t len);
/* Hides the line until status_line_restore() is called. If the same terminal shows standard output, call these two
 * functions around each write to standard output. */
void status_line_hide(void);
void status_line_restore(void);
/* Erases the line and forgets it. */
void status_line_end(void);
/* Writes whole lines to standard error, above the status line, after the lines that wait. */
void status_line_write(const char *lines, size_t len);
/* Adds whole lines to those that wait for status_line_flush(). The caller limits how many lines may wait. */
void status_line_queue(const char *lines, size_t len);
/* Returns how many bytes wait for status_line_flush(). */
size_t status_line_waiting(void);
/* Writes as many of the waiting lines as standard error accepts without blocking. */
void status_line_flush(void);
/* Returns the columns of the terminal, or 100 if standard error is not a terminal. */
size_t status_line_columns(void);

#endif
