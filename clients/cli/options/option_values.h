/*
 * Reads option values whose form is the same as in GNU parallel. Pure. If the text is not a valid value, each function
 * returns false and leaves *out unchanged.
 */
#ifndef FANTAIL_CLI_OPTIONS_OPTION_VALUES_H
#define FANTAIL_CLI_OPTIONS_OPTION_VALUES_H

#include "protocol/run_gate.h"

/* Reads a number of seconds that is at least 0. The number may end with s, m, h or d, as in 1.5m. */
MUST_CHECK bool option_read_duration(const char *text, double *out);

/* The number of processes for -j 0. */
#define OPTION_JOBS_ALL 256
/* The minimum number of processes with --jobs FILE, because the number in the file may grow. */
#define OPTION_JOBS_FILE 64

/* Reads a number of processes: N, N% of the processors, or +N or -N, which is N more or N fewer than there are
 * processors. The result is from 1 to `max`. 0 means OPTION_JOBS_ALL. */
MUST_CHECK bool option_read_jobs(const char *text, unsigned processors, unsigned max, unsigned *out);

/* Reads a percentage above 0, such as 150%. */
MUST_CHECK bool option_read_percent(const char *text, double *out);
/* Reads N, N/s, N/m or N/h. The result is the time from one event to the next, in seconds. */
MUST_CHECK bool option_read_rate(const char *text, double *spacing_s);
/* Reads a number of running processes above 0: N, or N% of the processors. The text 0 gives a value just above 0. */
MUST_CHECK bool option_read_load(const char *text, unsigned processors, double *out);

/* Reads WHEN,WHY=N as in --halt: WHEN is now or soon, WHY is fail, success or done, and N may be a percentage. Also
 * reads `never`, the short forms `0`, `1`, `2`, `-1` and `-2`, and `N%`. Sets the members of *rules whose names begin
 * with halt_. `never` and `0` change no member. */
MUST_CHECK bool option_read_halt(const char *text, struct run_gate_rules *rules);

/* Reads the names of the errors after which an item may be run again. The names are separated by commas. Bit number
 * E of the result stands for the item_error E. */
MUST_CHECK bool option_read_errors(const char *text, uint32_t *bits);

#endif
