/* Adds query parameters to the path of a request. Pure. */
#ifndef FANTAIL_CLI_HTTP_QUERY_H
#define FANTAIL_CLI_HTTP_QUERY_H

#include "common/base/buf.h"

/* Appends "?name=value" or, if the path has a query, "&name=value". The value is percent-encoded. */
void query_add(struct buf *path, const char *name, const char *value);
void query_add_number(struct buf *path, const char *name, uint64_t value);

#endif
