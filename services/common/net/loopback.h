/* Recognises addresses that only this machine can reach. Pure. */
#ifndef FANTAIL_COMMON_NET_LOOPBACK_H
#define FANTAIL_COMMON_NET_LOOPBACK_H

#include "common/base/base.h"

/* Returns whether only this machine can reach a numeric address or unix:PATH. NULL stands for the default address of
 * our services, which is a loopback address. */
bool is_loopback(const char *host);

#endif
