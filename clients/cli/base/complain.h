/* Messages to the user of `fantail`. */
#ifndef FANTAIL_CLI_BASE_COMPLAIN_H
#define FANTAIL_CLI_BASE_COMPLAIN_H

#include "common/base/base.h"

/* Writes "fantail: ", the message and a newline to standard error. If that is a terminal, control characters that are
 * in the message are written as \xNN, because they could move its cursor or change its settings. */
void complain(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* The same for a text of any length. */
void complain_text(const char *text);

#endif
