/*
 * Whose turn it is among the chunks of one task: jobs take turns, and within a job its chunks do. So a small job waits
 * for one run of a large one and not for one of each chunk the large one has here. The job is what stands before the
 * slash of a chunk's name; chunks without a name are jobs of their own. A pure module.
 */
#ifndef FANTAIL_WORKER_CHUNK_TURNS_H
#define FANTAIL_WORKER_CHUNK_TURNS_H

#include "worker/chunk/chunk.h"

struct turns {
    struct chunk *at; /* the first of the ring, the oldest; NULL when there are none */
    unsigned n;
    uint64_t given; /* turns so far */
};

/* Takes a reference. */
void turns_add(struct turns *t, struct chunk *c);
/* Drops it. A chunk that is not in the ring is fine. */
void turns_remove(struct turns *t, struct chunk *c);
/* The chunk whose turn it is among those that have something to take; the turn is given. NULL when none has. */
struct chunk *turns_next(struct turns *t);

#endif
