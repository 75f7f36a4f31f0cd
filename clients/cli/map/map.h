/* Maps a task or a command over the items of the input. See map_internal.h for how a run works. */
#ifndef FANTAIL_CLI_MAP_MAP_H
#define FANTAIL_CLI_MAP_MAP_H

#include "cli/options/map_options.h"

/* Returns the exit status. If a signal has asked the program to end, this function does not return: it kills the
 * program with that signal. */
int map_items(struct map_options *options);

#endif
