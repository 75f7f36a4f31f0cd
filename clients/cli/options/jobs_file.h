/* The file of --jobs FILE: it says how many commands may run at once, in any form that option_read_jobs() accepts. The
 * file may change during the run. */
#ifndef FANTAIL_CLI_OPTIONS_JOBS_FILE_H
#define FANTAIL_CLI_OPTIONS_JOBS_FILE_H

#include "common/base/base.h"

#define JOBS_FILE_LOOK_NS NS_PER_S /* how often the file should be read */

/* Reads the number of commands from the first word of the file. Returns false if the file cannot be read, or if its
 * first word does not have such a form or means more than `max`. */
MUST_CHECK bool jobs_file_read(const char *path, unsigned max, unsigned *n);

#endif
