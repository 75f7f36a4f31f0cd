/* What the two halves of window.h share; only for them. */
#ifndef FANTAIL_WORKER_PROCESS_WINDOW_INTERNAL_H
#define FANTAIL_WORKER_PROCESS_WINDOW_INTERNAL_H

#include "worker/process/window.h"

/* So many answers came just now, in so many bytes: adapts the limit. */
void window_learn(struct window *w, uint64_t answers, size_t bytes, uint64_t now);

#endif
