/*
 * The files of --results: what each command has written, laid out as GNU parallel does. For the values "a" and "b/c",
 * which are in the columns 1 and 2:
 *
 *     DIR/1/a/2/b\_c/stdout, stderr    what the command has written, while it runs
 *     DIR/1/a/2/b\_c/seq              the number of the item, from 1 on
 *     DIR/1/a/2/b\_c/exitval          the exit status as a shell shows it; empty while the command runs
 *
 * In the names, "\", "/", a tab and a NUL of the value are "\\", "\_", "\t" and "\0". A name that would be empty, "."
 * or
 * ".." has "\" before it. A name that is too long is cut, and "\~" and the number of the item follow.
 *
 * Each command makes new files. If a folder has files of an earlier command, they are removed. So two commands with the
 * same values do not write into one file.
 *
 *     result_files_begin(), result_files_enter() for each value, result_files_open(), result_files_write(),
 *     result_files_end()
 *
 * After an error, the other calls do nothing, and result_files_end() reports the error.
 */
#ifndef FANTAIL_HOSTS_RUNS_RESULT_FILES_H
#define FANTAIL_HOSTS_RUNS_RESULT_FILES_H

#include "common/base/buf.h"

enum result_file { RESULT_STDOUT, RESULT_STDERR, RESULT_SEQ, RESULT_EXITVAL, RESULT_FILE_COUNT };

struct result_files {
    const char *dir; /* borrowed; NULL: there are no files */
    uint64_t seq;    /* the number of the item, from 1 on */
    int folder;      /* while files are open: the folder of the command */
    int fds[RESULT_FILE_COUNT];
    int error; /* the first errno; 0: none */
    struct buf name;
};

void result_files_init(struct result_files *f, const char *dir);
void result_files_release(struct result_files *f);

void result_files_begin(struct result_files *f, uint64_t seq);
/* Goes into the folder of a value, and makes it if it does not exist. `column` counts from 1. */
void result_files_enter(struct result_files *f, size_t column, const char *value, size_t len);
/* Makes the files. Returns false, with errno, if this or an earlier call has failed. Then no file is open. */
MUST_CHECK bool result_files_open(struct result_files *f);
void result_files_write(struct result_files *f, enum result_file which, const char *data, size_t len);
/* Writes the exit status, and closes the files. Returns false, with errno, if something could not be written. */
MUST_CHECK bool result_files_end(struct result_files *f, int exit_status);

#endif
