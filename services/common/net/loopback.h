/* Addresses that can be reached from this machine only. Pure. */
#ifndef FANTAIL_COMMON_NET_LOOPBACK_H
#define FANTAIL_COMMON_NET_LOOPBACK_H

#include "common/base/base.h"

/* Returns whether a numeric address or unix:PATH (NULL: the default of our services) can be reached from this machine
 * only. */
bool is_loopback(const char *host);

#endif
