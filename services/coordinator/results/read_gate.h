/*
 * Limits the readers of stored results as a whole: how many blocks they read at the same time, and how many bytes of
 * blocks they hold. A reader enters the gate to read a block, and leaves the gate when the block has arrived. While
 * there is no room, readers wait in a queue. So neither the memory nor the work in one turn of the loop grows with the
 * number of readers. Pure. Owner: job_watches.
 */
#ifndef FANTAIL_COORDINATOR_RESULTS_READ_GATE_H
#define FANTAIL_COORDINATOR_RESULTS_READ_GATE_H

#include "common/base/list.h"

struct read_gate {
    unsigned open;     /* number of blocks that are being read */
    size_t held_bytes; /* bytes of the blocks of all readers */
    struct list queue;
};

/* The place of one reader in the queue. Zero it before use. */
struct read_gate_place {
    struct list_link link;
    bool is_queued;
};

void read_gate_init(struct read_gate *g);
bool read_gate_has_room(const struct read_gate *g);
/* Returns whether readers wait because other readers hold too many blocks. If so, each reader should drop the blocks
 * that it does not need now. */
bool read_gate_is_scarce(const struct read_gate *g);
/* Returns true if the reader may read a block now. If it may not, puts the reader in the queue and returns false. A
 * queued reader must try again when read_gate_leave() returns its place, or when there is room. */
MUST_CHECK bool read_gate_enter(struct read_gate *g, struct read_gate_place *p);
/* Call it when a block has arrived. Takes the reader that has waited longest out of the queue, and returns its place.
 * Returns NULL if no reader waits, or if there is still no room. */
MUST_CHECK struct read_gate_place *read_gate_leave(struct read_gate *g);
/* Removes the reader from the queue, if it is there. */
void read_gate_forget(struct read_gate *g, struct read_gate_place *p);

#endif
