/*
 * Which of the two kinds of answer a job's client asks for. A pure module.
 */
#ifndef FANTAIL_COMMON_NET_MEDIA_TYPE_H
#define FANTAIL_COMMON_NET_MEDIA_TYPE_H

#include "common/base/base.h"

/* `accept` is the Accept header; NULL: there is none. A stream of lines is for who names it, and does not name
 * application/json with a higher q. */
bool accept_is_stream(const char *accept);

#endif
