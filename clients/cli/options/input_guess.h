/*
 * Guesses the form of the input of a task if no option gives it: lines of JSON, one JSON array, or CSV. The guess is
 * based on the name of the file and, if the file can be read twice, on its beginning. A pipe is not read here, so its
 * input is taken as lines.
 */
#ifndef FANTAIL_CLI_OPTIONS_INPUT_GUESS_H
#define FANTAIL_CLI_OPTIONS_INPUT_GUESS_H

#include "cli/options/record_options.h"

/* `path` is the file with the items; "-": standard input. Sets the options that a user would give for this file, or
 * none. */
void input_guess(struct record_options *o, const char *path);

#endif
