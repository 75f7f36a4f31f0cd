/* Makes text of unknown origin safe for a terminal: its control characters could move the cursor or change settings of
 * the terminal. */
#ifndef FANTAIL_COMMON_OBSERVE_TERMINAL_TEXT_H
#define FANTAIL_COMMON_OBSERVE_TERMINAL_TEXT_H

#include "common/base/buf.h"

/* Appends the text. Control characters except tab and newline are written as \xNN. */
void terminal_text_add(struct buf *b, const char *text, size_t len);

#endif
