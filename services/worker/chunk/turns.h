/*
 * Decides round-robin which chunk of a task provides the next run. Jobs take turns, and the chunks of a job take turns.
 * So a small job waits for only one run of a large job, not for a run of every chunk of the large job. The job is the
 * part of a chunk's name before the slash; a chunk without a name counts as a job of its own. With in_order, the oldest
 * job provides the next run, from the first of its chunks that has items for a process. A pure module.
 */
#ifndef FANTAIL_WORKER_CHUNK_TURNS_H
#define FANTAIL_WORKER_CHUNK_TURNS_H

#include "worker/chunk/chunk.h"

struct turns {
    struct chunk *at; /* the oldest chunk, where the ring begins; NULL: there is no chunk */
    unsigned n;
    uint64_t given; /* turns so far */
    bool in_order;  /* the items start in their order; set by the owner */
};

/* Takes a reference. */
void turns_add(struct turns *t, struct chunk *c);
/* Drops the reference. Does nothing if the chunk is not in the ring. */
void turns_remove(struct turns *t, struct chunk *c);
/* Returns the chunk whose turn is next. Skips chunks that have no items for a process. Returns NULL if all chunks are
 * skipped. */
struct chunk *turns_next(struct turns *t);

#endif
