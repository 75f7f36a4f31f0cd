/* Where `fantail local` keeps durable jobs, unless --store says otherwise: in a file in the user's state folder. There
 * is one file for each port, so that several fleets can run, and each finds its jobs again. */
#ifndef FANTAIL_CLI_FLEET_LOCAL_STORE_H
#define FANTAIL_CLI_FLEET_LOCAL_STORE_H

#include "common/base/buf.h"

/* Appends the value of the coordinator's --store. Makes the folder, which only the user can enter. On failure returns
 * false, with a sentence in err. */
MUST_CHECK bool local_store_find(uint16_t port, struct buf *store, char *err, size_t err_size);

#endif
