/*
 * Which of the two kinds of answer a job's client asks for. A pure module.
 */
#ifndef FANTAIL_COORDINATOR_ACCEPT_H
#define FANTAIL_COORDINATOR_ACCEPT_H

#include "base.h"

/* `accept` is the Accept header; NULL: there is none. A stream of lines is for who names it, and does not name
 * application/json with a higher q. */
bool accept_is_stream(const char *accept);

#endif
