/* Options of GNU parallel that neither `fantail map` nor `fantail parallel` has, with advice. Pure. */
#ifndef FANTAIL_CLI_OPTIONS_FOREIGN_OPTIONS_H
#define FANTAIL_CLI_OPTIONS_FOREIGN_OPTIONS_H

#include "common/service/option.h"

extern const struct option_foreign foreign_options_of_parallel[];

#endif
