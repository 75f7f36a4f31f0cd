/*
 * Stops reading from task processes while the worker's standard error accepts no more lines. So a slow reader of
 * standard error slows the tasks down, no line is dropped, and the amount of waiting output is limited. Used with
 * --task-output whole and bare.
 */
#ifndef FANTAIL_WORKER_SYSTEM_OUTPUT_GATE_H
#define FANTAIL_WORKER_SYSTEM_OUTPUT_GATE_H

#include <uv.h>

#include "common/base/base.h"

/* Something that waits until the gate is open. A zeroed struct does not wait. */
struct output_waiter {
    void (*resume)(struct output_waiter *w, uint64_t waited_ns);
    struct output_waiter *next;
    uint64_t since_ns;
    bool waits;
};

struct output_gate {
    uv_timer_t timer;
    struct output_waiter *first, **last; /* a queue */
};

/* Raises the limit on the log lines that may wait to be written. */
void output_gate_init(struct output_gate *g, uv_loop_t *loop);
/* Closes the handle. Call it only when nothing waits at the gate. */
void output_gate_close(struct output_gate *g);
/* Writes the log lines that wait to be written. Returns whether all of them were written. */
bool output_gate_is_open(void);
/* Calls w->resume() once, when the gate is open. */
void output_gate_wait(struct output_gate *g, struct output_waiter *w);
/* Makes w stop waiting. */
void output_gate_leave(struct output_gate *g, struct output_waiter *w);

#endif
