/* The colour of failures on standard error. */
#ifndef FANTAIL_CLI_BASE_COLOR_H
#define FANTAIL_CLI_BASE_COLOR_H

#include "common/base/base.h"

#define COLOR_FAILURE "\033[31m"
#define COLOR_END     "\033[0m"

/* Returns whether standard error may have colours: it is a terminal with colours, and NO_COLOR is unset or empty. */
bool color_is_on(void);

#endif
