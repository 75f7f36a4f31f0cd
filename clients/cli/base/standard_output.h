/*
 * Standard output of the commands that print with stdio. If a write fails, the command fails, even if the write fails
 * only at the end.
 */
#ifndef FANTAIL_CLI_BASE_STANDARD_OUTPUT_H
#define FANTAIL_CLI_BASE_STANDARD_OUTPUT_H

#include "common/base/base.h"

/* Occupies the standard descriptors that the caller of this program has closed, so that no opened file gets their
 * numbers. Writes to a closed standard output still fail. */
void standard_descriptors_open(void);
/* Returns whether standard output is open for writing. Returns false if the caller of this program has closed standard
 * output. */
bool standard_output_is_open(void);
/* Writes the bytes that stdio has buffered. Returns false if this or an earlier write has failed. */
bool standard_output_flush(void);
/* Call it at the end of a command. Returns `status`, or EXIT_JOB_FAILED after a message if something could not be
 * written. If the reader is gone, this program ends by SIGPIPE, as other programs in a pipe do. */
int standard_output_end(int status);

#endif
