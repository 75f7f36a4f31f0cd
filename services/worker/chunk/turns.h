/*
 * Decides round-robin which chunk of a task provides the next run. Jobs take turns, and so do the chunks of a job. So a
 * small job waits for one run of a large job, and not for one run of each chunk of the large job. The job is the part
 * of a chunk's name before the slash; a chunk without a name counts as a job of its own. A pure module.
 */
#ifndef FANTAIL_WORKER_CHUNK_TURNS_H
#define FANTAIL_WORKER_CHUNK_TURNS_H

#include "worker/chunk/chunk.h"

struct turns {
    struct chunk *at; /* the oldest chunk, where the ring begins; NULL: there is no chunk */
    unsigned n;
    uint64_t given; /* turns so far */
};

/* Takes a reference. */
void turns_add(struct turns *t, struct chunk *c);
/* Drops the reference. Does nothing if the chunk is not in the ring. */
void turns_remove(struct turns *t, struct chunk *c);
/* Returns the chunk whose turn is next. Skips chunks that have no item to give. Returns NULL if no chunk has one. */
struct chunk *turns_next(struct turns *t);

#endif
