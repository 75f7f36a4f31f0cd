/*
 * Declarations shared by chunk.c and run.c. chunk.c reads items as they arrive, cuts runs, and holds the output. run.c
 * keeps the list of runs, and receives answers and returned runs.
 */
#ifndef FANTAIL_WORKER_CHUNK_CHUNK_INTERNAL_H
#define FANTAIL_WORKER_CHUNK_CHUNK_INTERNAL_H

#include "worker/chunk/chunk.h"

/* ---- run.c ---- */

/* Adds a new waiting run at the end of the chunk's list. */
struct run *run_append(struct chunk *c, uint64_t first, uint64_t count, size_t offset, size_t len);
/* Keeps the first items of r, up to both limits, but at least one item. Moves the other items to a new waiting run
 * after r. */
void run_split(struct run *r, uint64_t max_items, size_t max_bytes);
/* Adds answer bytes to the chunk's output if the run is the first one, else to the run. */
void run_add_answers(struct run *r, const char *lines, size_t len);
/* Joins the run with those of its neighbours that are completed too. So the list stays short even if many runs are
 * answered before an earlier run. May free the run. */
void run_join_completed(struct run *r);
/* Puts a run into its chunk's list after the run `after`; NULL: at the front. */
void run_link(struct run *r, struct run *after);
/* Removes a run from its chunk's list. */
void run_unlink(struct run *r);
/* Frees a run that is not in a list. */
void run_free(struct run *r);

/* ---- chunk.c ---- */

/* Measures the items from `offset` on, up to both limits, but at least one item. Returns the size of these items in
 * bytes, and sets *items to their number. */
size_t chunk_measure(const struct chunk *c, size_t offset, size_t len, uint64_t max_items, size_t max_bytes,
                     uint64_t *items);
/* Removes all completed runs at the front of the list, and moves their answers to the output. */
void chunk_advance(struct chunk *c);

#endif
