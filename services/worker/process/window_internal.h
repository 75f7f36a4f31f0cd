/* Declarations shared by the window*.c files. */
#ifndef FANTAIL_WORKER_PROCESS_WINDOW_INTERNAL_H
#define FANTAIL_WORKER_PROCESS_WINDOW_INTERNAL_H

#include "worker/process/window.h"

/* Updates the estimates and the limit after reading this many answers with this many bytes in all. */
void window_learn(struct window *w, uint64_t answers, size_t bytes, uint64_t now);

#endif
