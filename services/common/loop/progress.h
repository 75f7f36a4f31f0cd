/*
 * Counts what this thread has done: bytes that it moved, connections that it opened or closed, work that it finished.
 * The event loop watches this count to find turns that do nothing (turn_stall.h). So code that moves bytes
 * for a long time, or finishes work that came from another thread, must call progress_note().
 */
#ifndef FANTAIL_COMMON_LOOP_PROGRESS_H
#define FANTAIL_COMMON_LOOP_PROGRESS_H

#include <stdint.h>

extern _Thread_local uint64_t progress_count;

static inline void progress_note(void)
{
    progress_count++;
}

#endif
