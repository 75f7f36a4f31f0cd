/* Quotes text for a POSIX shell, in the same way as GNU parallel. Pure. */
#ifndef FANTAIL_PROTOCOL_SHELL_QUOTE_H
#define FANTAIL_PROTOCOL_SHELL_QUOTE_H

#include "common/base/buf.h"

/* Returns whether a shell takes the text as one word without quotes. */
bool shell_quote_is_plain(const char *text, size_t len);
/* Appends the text as one word of a shell. A word of only letters, digits and - _ . + / needs no quotes. */
void shell_quote_add(struct buf *out, const char *text, size_t len);

#endif
