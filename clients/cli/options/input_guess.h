/*
 * Finds out in which form the items of a task are in the input, if no option says it: lines of JSON, one JSON array, or
 * CSV. The name of a file counts, and the beginning of a file that can be read twice. A pipe is never read here, so it
 * has lines.
 */
#ifndef FANTAIL_CLI_OPTIONS_INPUT_GUESS_H
#define FANTAIL_CLI_OPTIONS_INPUT_GUESS_H

#include "cli/options/record_options.h"

/* `path` is the file with the items; "-": standard input. Sets the options that a user would give for this file, or
 * none. */
void input_guess(struct record_options *o, const char *path);

#endif
