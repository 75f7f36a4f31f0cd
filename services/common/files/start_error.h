/*
 * Says why a program could not be started. For a script whose interpreter is missing, execve() fails with "No such file
 * or directory" although the script exists. In this case and similar ones, the reason quotes the first line of the
 * script.
 */
#ifndef FANTAIL_COMMON_FILES_START_ERROR_H
#define FANTAIL_COMMON_FILES_START_ERROR_H

#include "common/base/base.h"

#define START_ERROR_SIZE 400

/* Writes the reason why execve() of the file `path` failed with the errno `error`. */
void start_error_write(char out[START_ERROR_SIZE], const char *path, int error);

#endif
