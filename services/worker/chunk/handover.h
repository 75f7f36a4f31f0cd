/*
 * Hands the answers of one task of a pipeline over to the next task. A value becomes an item of the next chunk. An
 * error is the final answer of its item. If there is no memory for a value, its item gets the error out_of_memory. A
 * long value is handed over in parts, so that each call takes a limited time. Pure.
 */
#ifndef FANTAIL_WORKER_CHUNK_HANDOVER_H
#define FANTAIL_WORKER_CHUNK_HANDOVER_H

#include "worker/chunk/chunk.h"

struct handover {
    struct chunk *from, *to; /* borrowed */
    size_t passed;           /* how many bytes of the first value of `from` were already added to `to` */
};

/* Hands over about max_bytes of answers. After the last answer, also hands over the end line of `from`. Returns whether
 * `from` has more answers. */
bool handover_step(struct handover *h, size_t max_bytes);

#endif
