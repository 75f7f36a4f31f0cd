/*
 * Reads the values of options that have the same form as in GNU parallel. Pure. Each function returns false if the text
 * is not such a value; then *out is unchanged.
 */
#ifndef FANTAIL_CLI_OPTIONS_OPTION_VALUES_H
#define FANTAIL_CLI_OPTIONS_OPTION_VALUES_H

#include "common/base/base.h"

/* Reads a number of seconds from 0 on. The number may end with s, m, h or d, as in 1.5m. */
MUST_CHECK bool option_read_duration(const char *text, double *out);

/* The number of processes for -j 0. */
#define OPTION_JOBS_ALL 256

/* Reads a number of processes: N, N% of the processors, or the number of processors +N or -N. The result is from 1 to
 * `max`. 0 means OPTION_JOBS_ALL. */
MUST_CHECK bool option_read_jobs(const char *text, unsigned processors, unsigned max, unsigned *out);

/* Returns whether the text is a list of errors that an item may be run again for, separated by commas. */
bool option_is_error_list(const char *text);

#endif
