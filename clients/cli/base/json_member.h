/* Reads one member of a small JSON object, such as a problem document or the error of an item. Pure. */
#ifndef FANTAIL_CLI_BASE_JSON_MEMBER_H
#define FANTAIL_CLI_BASE_JSON_MEMBER_H

#include "common/base/base.h"
#include "common/base/buf.h"

/* Appends the member's text to `out`. A string is decoded; any other value is copied as it was written. If the text is
 * not a JSON object or has no such member, appends nothing and returns false. */
MUST_CHECK bool json_member_read(const char *json, size_t len, const char *name, struct buf *out);

#endif
