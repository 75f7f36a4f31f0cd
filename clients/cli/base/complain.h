/* Messages to the user of `fantail`. */
#ifndef FANTAIL_CLI_BASE_COMPLAIN_H
#define FANTAIL_CLI_BASE_COMPLAIN_H

#include "common/base/base.h"

/* Writes "fantail: ", the message and a newline to standard error. */
void complain(const char *fmt, ...) PRINTF_LIKE(1, 2);

#endif
