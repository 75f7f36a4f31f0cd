/* Puts the end of a text into JSON. Pure. */
#ifndef FANTAIL_COMMON_JSON_JSON_TAIL_H
#define FANTAIL_COMMON_JSON_JSON_TAIL_H

#include "common/base/buf.h"

/* Appends a JSON string as buf_add_json_string() does. If the string would take more than max_bytes, appends only the
 * end of the text. Returns how many bytes of the text are in the string. */
size_t json_tail_add(struct buf *b, const char *text, size_t len, size_t max_bytes);

#endif
