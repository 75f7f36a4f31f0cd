/* Which addresses only this machine reaches. Pure. */
#ifndef FANTAIL_LOOPBACK_H
#define FANTAIL_LOOPBACK_H

#include "base.h"

/* Whether a numeric address or unix:PATH (NULL: the default of our services) can be reached from this machine only. */
bool is_loopback(const char *host);

#endif
