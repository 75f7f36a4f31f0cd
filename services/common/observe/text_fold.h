/* Folds plain text, such as that of --help, at spaces, so that no terminal breaks a line within a word. */
#ifndef FANTAIL_COMMON_OBSERVE_TEXT_FOLD_H
#define FANTAIL_COMMON_OBSERVE_TEXT_FOLD_H

#include "common/base/buf.h"

/* Returns the width that a text should have: the width of the terminal, but at least 40 and at most 100 columns. If
 * none of the standard descriptors is a terminal, the width is the value of the variable COLUMNS, or 80 if the variable
 * is not set. */
unsigned text_fold_width(void);
/* Appends the text with a newline after each line. Lines that do not begin with a space form a paragraph, up to an
 * empty line. The lines of a paragraph are joined, and then folded. A line that begins with a space, such as an
 * example, stays a line. If such a line is too long, its rest gets a larger indentation. */
void text_fold_add(struct buf *out, const char *text, unsigned width);

#endif
