/*
 * Declarations shared by the map_option*.c files.
 *
 *     map_option_rows.c  the table of options, and the text of --help
 *     map_options.c      reads the options and checks them together
 *     map_control.c      the options that say how many items run, for how long and how often
 *     map_query.c        the query string of a job
 */
#ifndef FANTAIL_CLI_OPTIONS_MAP_OPTIONS_INTERNAL_H
#define FANTAIL_CLI_OPTIONS_MAP_OPTIONS_INTERNAL_H

#include "cli/options/map_options.h"
#include "common/service/option.h"

/* The words of --order, indexed by enum map_order; NULL-ended. */
extern const char *const map_orders[];

/* Reads --jobs, --timeout, --retries and the like into the settings that they stand for. Returns EXIT_OK, or EXIT_USAGE
 * after a message. */
MUST_CHECK int map_control_check(struct map_options *o);

#endif
