/*
 * Reads the headers Content-Type and Accept. A pure module; the types are named by its callers.
 */
#ifndef FANTAIL_COMMON_NET_MEDIA_TYPE_H
#define FANTAIL_COMMON_NET_MEDIA_TYPE_H

#include "common/base/base.h"

/* Whether a Content-Type header names this type, in upper or lower case, with or without parameters. Returns false
 * without a header (NULL). */
bool media_type_is(const char *content_type, const char *type);

/* Whether an Accept header names `type`, and does not name `other` with a higher q. Wildcards name neither. Returns
 * false without a header (NULL). */
bool media_type_prefers(const char *accept, const char *type, const char *other);

#endif
