/* The file of a gate (protocol/run_gate.h), which the client makes for the host processes of its private fleet. */
#ifndef FANTAIL_CLI_FLEET_GATE_FILE_H
#define FANTAIL_CLI_FLEET_GATE_FILE_H

#include "protocol/run_gate.h"

struct gate_file {
    struct run_gate *shared; /* NULL: there is none */
    size_t size;
};

/* Makes the file. `seats` is the number of processes. With rules->limits_running, at most running_max commands run at
 * once. Returns false, with errno, on failure. */
MUST_CHECK bool gate_file_make(struct gate_file *f, const char *path, const struct run_gate_rules *rules,
                               unsigned seats, unsigned running_max);
/* Does not remove the file. A zeroed struct is fine. */
void gate_file_release(struct gate_file *f);
/* Changes how many commands may run at once. */
void gate_file_set_running(struct gate_file *f, unsigned max);

#endif
