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

/* Allows more lines to wait in the log. */
void output_gate_init(struct output_gate *g, uv_loop_t *loop);
/* Closes the handle. No waiter may be left. */
void output_gate_close(struct output_gate *g);
/* Writes the lines that wait in the log. Returns whether no line is left. */
bool output_gate_is_open(void);
/* Calls w->resume() once, when the gate is open. */
void output_gate_wait(struct output_gate *g, struct output_waiter *w);
/* After this call, w does not wait. */
void output_gate_leave(struct output_gate *g, struct output_waiter *w);

#endif
