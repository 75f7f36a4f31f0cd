/*
 * The common value of `fantail map --common`: a JSON value, or @FILE for a file that has it. A long value does not fit
 * into the query of a request, so it is sent in the first line of the body.
 */
#ifndef FANTAIL_CLI_OPTIONS_COMMON_OPTION_H
#define FANTAIL_CLI_OPTIONS_COMMON_OPTION_H

#include "common/base/buf.h"
#include "common/service/option.h"

struct common_option {
    struct buf json;       /* for the query, with a NUL after it; empty: the value is in first_line, or there is none */
    struct buf first_line; /* an object with the value, and a newline; empty: the value is in `json` */
};

/* Reads the value of --common. `for_command`: the value will be in the environment of a command. Returns EXIT_OK, or
 * EXIT_USAGE after a message. */
MUST_CHECK int common_option_read(struct common_option *v, const struct option_spec *spec, const char *given,
                                  bool for_command);
void common_option_release(struct common_option *v);

#endif
