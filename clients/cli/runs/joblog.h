/*
 * The log of the items of a run, in the form of GNU parallel's --joblog, with further columns after the command:
 *
 *     Seq Host Starttime JobRuntime Send Receive Exitval Signal Command Index Worker Attempts Peak
 *
 * The columns are separated by tabs. Seq counts from 1 and Index from 0. Host is always ":", this machine. Peak is the
 * peak memory in bytes. For an item of a task, Command is the name of the task, and Starttime is the time at which the
 * answer came. The columns whose values an answer does not contain are 0 or empty. A newline in a command is written as
 * a NUL byte. The command may contain tabs, so a reader must find the last four columns from the end of the line.
 *
 * A line is written after the result of its item. So if the log has an item, the result of that item was printed.
 */
#ifndef FANTAIL_CLI_RUNS_JOBLOG_H
#define FANTAIL_CLI_RUNS_JOBLOG_H

#include "cli/base/done_set.h"
#include "cli/runs/record.h"

struct joblog {
    int fd;           /* -1: there is no log */
    const char *task; /* borrowed; the task whose items are logged; NULL: the items are those of a command */
    struct buf lines, text;
};

/* Whether a run continues an earlier run, and which items of the log the run then leaves out. */
enum joblog_resume { JOBLOG_NEW, JOBLOG_RESUME, JOBLOG_RESUME_FAILED };

/* Opens the log. JOBLOG_NEW empties the log, unless `append` is set. JOBLOG_RESUME adds the items of the log to *done.
 * JOBLOG_RESUME_FAILED adds only the items that have succeeded. If the log is kept, an incomplete last line, which a
 * killed run may have left, is removed. On failure returns false and writes a sentence to err. */
MUST_CHECK bool joblog_open(struct joblog *l, const char *path, enum joblog_resume resume, bool append,
                            struct done_set *done, char *err, size_t err_size);
/* Adds a line for a command that has ended, or for an item of a task that has a value. */
void joblog_add(struct joblog *l, const struct run_record *r);
/* Adds a line for an item without a record: the command has not ended, or its process has died. `error` is the error
 * object of the item. */
void joblog_add_lost(struct joblog *l, uint64_t index, struct json_slice error, int64_t now_us);
/* Writes the lines. Call it after the results have been written. Returns false, with errno, on failure. */
MUST_CHECK bool joblog_flush(struct joblog *l);
/* Closes the log. Lines that have not been written are lost. Does nothing to a zeroed struct whose fd is -1. */
void joblog_close(struct joblog *l);

#endif
