/* Messages to the user of `fantail`. */
#ifndef FANTAIL_CLI_BASE_COMPLAIN_H
#define FANTAIL_CLI_BASE_COMPLAIN_H

#include "common/base/base.h"

/* Writes "fantail: ", the message and a newline to standard error. If standard error is a terminal, writes control
 * characters of the message as \xNN, because they could move the cursor or change the terminal's settings. */
void complain(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Like complain(), for a text of any length. */
void complain_text(const char *text);

/* Like complain_text(), for a text whose first `len` bytes describe a failure. If standard error has colours, these
 * bytes get the colour of failures. */
void complain_failure(const char *text, size_t len);

#endif
