/* The file of --jobs FILE: it has a number of commands, in any form of option_read_jobs(), and it may change. */
#ifndef FANTAIL_CLI_OPTIONS_JOBS_FILE_H
#define FANTAIL_CLI_OPTIONS_JOBS_FILE_H

#include "common/base/base.h"

#define JOBS_FILE_LOOK_NS NS_PER_S /* how often the file should be read */

/* Reads the number of commands from the first word of the file. Returns false if the file is missing or does not begin
 * with a number. */
MUST_CHECK bool jobs_file_read(const char *path, unsigned max, unsigned *n);

#endif
