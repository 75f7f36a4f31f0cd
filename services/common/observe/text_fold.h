/* Folds plain text, such as that of --help, at spaces, so that no terminal breaks a line within a word. */
#ifndef FANTAIL_COMMON_OBSERVE_TEXT_FOLD_H
#define FANTAIL_COMMON_OBSERVE_TEXT_FOLD_H

#include "common/base/buf.h"

/* Returns the width that a text should have: that of the terminal, but from 40 to 100 columns. If none of the standard
 * descriptors is a terminal, the width comes from the variable COLUMNS, and is 80 without it. */
unsigned text_fold_width(void);
/* Appends the text with a newline after each line. Lines that do not begin with a space form a paragraph, up to an
 * empty line; a paragraph is folded as a whole. A line that begins with a space, such as an example, stays a line. If
 * such a line is too long, its rest gets a larger indentation. */
void text_fold_add(struct buf *out, const char *text, unsigned width);

#endif
