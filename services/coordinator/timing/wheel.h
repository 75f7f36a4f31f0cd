/*
 * A timer wheel. The nodes of a wheel are members of other structs, and each node has the instant at which it is due.
 * Setting or removing an instant costs O(1). wheel_run() looks only at the slots whose ticks have passed, so nodes that
 * are due much later cost almost nothing. wheel_run() finds a node at most one tick after its instant. The wheel owns
 * no node and reads no clock.
 */
#ifndef FANTAIL_COORDINATOR_TIMING_WHEEL_H
#define FANTAIL_COORDINATOR_TIMING_WHEEL_H

#include "common/base/list.h"

#define WHEEL_SLOTS 64

struct wheel_node {
    struct list_link link;
    struct list *slot; /* NULL: not on the wheel */
    uint64_t due_ns;
};

struct wheel {
    struct list slots[WHEEL_SLOTS];
    uint64_t tick_ns; /* the length of a tick; each tick has one slot */
    uint64_t ticks;   /* the number of ticks up to the last wheel_run() */
};

/* An initialised wheel contains pointers to itself, so do not move it in memory. */
void wheel_init(struct wheel *w, uint64_t tick_ns, uint64_t now_ns);
/* Adds the node with this instant, or changes the instant of a node on the wheel. */
void wheel_set(struct wheel *w, struct wheel_node *node, uint64_t due_ns);
/* Does nothing when the node is not on the wheel. */
void wheel_remove(struct wheel_node *node);
/* Removes each node that is due, and passes it to due(). due() may set and remove any node. */
void wheel_run(struct wheel *w, uint64_t now_ns, void (*due)(struct wheel_node *node, uint64_t now_ns));

#endif
