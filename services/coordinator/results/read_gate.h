/*
 * Limits what all readers of stored results take together: the blocks that are being read, and the bytes of the blocks
 * that they hold. A reader enters the gate to read a block, and leaves it when the block has come. While there is no
 * room, readers wait in a queue. So the memory, and the work in one turn of the loop, do not grow with the number of
 * readers. Pure. Owner: job_watches.
 */
#ifndef FANTAIL_COORDINATOR_RESULTS_READ_GATE_H
#define FANTAIL_COORDINATOR_RESULTS_READ_GATE_H

#include "common/base/list.h"

struct read_gate {
    unsigned open;     /* blocks that are being read */
    size_t held_bytes; /* of the blocks of all readers */
    struct list queue;
};

/* The place of one reader in the queue. Zero it. */
struct read_gate_place {
    struct list_link link;
    bool is_queued;
};

void read_gate_init(struct read_gate *g);
bool read_gate_has_room(const struct read_gate *g);
/* Whether the blocks that readers hold are the reason why others wait. Then readers should drop what they do not need
 * now. */
bool read_gate_is_scarce(const struct read_gate *g);
/* Returns true if the reader may read a block now. Otherwise the reader is in the queue, and has to try again when
 * read_gate_leave() returns it, or when there is room. */
MUST_CHECK bool read_gate_enter(struct read_gate *g, struct read_gate_place *p);
/* A block has come. Returns the reader that has waited for the longest time, which has left the queue; NULL: none. */
MUST_CHECK struct read_gate_place *read_gate_leave(struct read_gate *g);
/* Removes the reader from the queue, if it is there. */
void read_gate_forget(struct read_gate *g, struct read_gate_place *p);

#endif
