/*
 * The gate of a run (protocol/run_gate.h), as a host process uses it. Each process keeps one seat of the gate during
 * its whole life. Unless the number of running commands is limited, the slot that users see is the number of the seat
 * plus 1. A lock on a byte of the file marks a seat as taken, so the kernel frees the seat of a process that is killed.
 */
#ifndef FANTAIL_HOSTS_RUNS_GATE_H
#define FANTAIL_HOSTS_RUNS_GATE_H

#include "protocol/run_gate.h"

struct gate {
    int fd;
    struct run_gate *shared;
    unsigned seat; /* counts from 0 */
    bool has_rules;
};

/* What the gate demands of a running command. */
enum gate_order { GATE_GO_ON, GATE_TIMED_OUT, GATE_CUT, GATE_YIELD };

/* Maps the file and takes a free seat. If all seats are taken, waits for a free seat, because the process that this
 * process replaces may not have ended yet. If the file is not a gate, returns false and sets errno. */
MUST_CHECK bool gate_open(struct gate *g, const char *path);
void gate_close(struct gate *g);

/* Counts an item, before its first attempt. */
void gate_count_item(struct gate *g);
/* Waits until the item may start. If the run is halted, returns false, and the item must not run. */
MUST_CHECK bool gate_enter(struct gate *g, uint64_t index);
/* Returns the slot of the command, from 1 on. Call it after gate_enter() has returned true. */
unsigned gate_slot(const struct gate *g);
/* Call it when the command has ended, after gate_enter() has returned true. */
void gate_leave(struct gate *g, enum run_gate_end end);
/* Returns what to do with the running command. Sets *next_ns to the time for the next call; UINT64_MAX: none is
 * needed. */
enum gate_order gate_look(struct gate *g, uint64_t now, uint64_t *next_ns);

#endif
