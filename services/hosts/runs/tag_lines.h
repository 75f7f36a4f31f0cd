/* Writes a tag before each line of a text. Pure. */
#ifndef FANTAIL_HOSTS_RUNS_TAG_LINES_H
#define FANTAIL_HOSTS_RUNS_TAG_LINES_H

#include "common/base/buf.h"

/* Writes the tag and a tab before each line. The last line may lack its newline. An empty text gets no tag. If the text
 * would exceed its cap, empties the text and returns false. */
MUST_CHECK bool tag_lines(struct buf *text, const char *tag, size_t len);

#endif
