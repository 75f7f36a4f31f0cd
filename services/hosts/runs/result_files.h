/*
 * Writes the files of --results: the output of each command, with the folders and names that GNU parallel would use.
 * For the values "a" and "b/c" of the columns 1 and 2, the files are:
 *
 *     DIR/1/a/2/b\_c/stdout, stderr   the output of the command, written while it runs
 *     DIR/1/a/2/b\_c/seq              the number of the item, from 1 on
 *     DIR/1/a/2/b\_c/exitval          the exit status as a shell shows it; empty while the command runs
 *
 * In the names, "\", "/", a tab and a NUL of the value become "\\", "\_", "\t" and "\0". If a name would be empty, "."
 * or "..", a "\" is put in front of it. If a name is too long, its end is replaced by "\~" and the number of the item.
 *
 * Each command makes new files. If an earlier command has left files in the folder, these files are removed first. So
 * two commands with the same values do not write to the same file.
 *
 *     result_files_begin(), result_files_enter() for each value, result_files_open(), result_files_write(),
 *     result_files_end()
 *
 * After an error, further calls do nothing, and result_files_end() reports the error.
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
/* Enters the folder of a value. If the folder does not exist, creates it. `column` counts from 1. `name` is the name of
 * the column; NULL: it has none, so its number is used. */
void result_files_enter(struct result_files *f, size_t column, const char *name, const char *value, size_t len);
/* Makes the files. If this call or an earlier one has failed, returns false, sets errno and leaves no file open. */
MUST_CHECK bool result_files_open(struct result_files *f);
void result_files_write(struct result_files *f, enum result_file which, const char *data, size_t len);
/* Writes the exit status, and closes the files. If any of the files could not be written completely, returns false and
 * sets errno. */
MUST_CHECK bool result_files_end(struct result_files *f, int exit_status);

#endif
