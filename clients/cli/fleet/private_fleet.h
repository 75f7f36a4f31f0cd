/*
 * A fleet of one run: started for it, and gone with it, its temporary directory included. In command mode it brings
 * its one task with it, made of the command line.
 */
#ifndef FANTAIL_CLI_FLEET_PRIVATE_FLEET_H
#define FANTAIL_CLI_FLEET_PRIVATE_FLEET_H

#include "cli/fleet/fleet.h"
#include "cli/fleet/run_dir.h"
#include "cli/map/map_options.h"

struct private_fleet {
    struct fleet *fleet;
    struct run_dir dir;
};

/* Starts the processes and returns at once. False with a sentence in err. */
MUST_CHECK bool private_fleet_start(struct private_fleet *p, const struct map_options *o, char *err, size_t err_size);
/* Kills what runs and removes the directory. A zeroed one is fine. */
void private_fleet_end(struct private_fleet *p);

#endif
