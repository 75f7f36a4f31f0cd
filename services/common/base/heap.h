/*
 * A binary heap whose nodes are members of other structs. The first node is the one with the smallest key. Setting,
 * changing and removing a key cost O(log n). The order of nodes with equal keys is arbitrary, but the same in every
 * run. The heap owns its array; the nodes belong to the structs that embed them.
 */
#ifndef FANTAIL_COMMON_BASE_HEAP_H
#define FANTAIL_COMMON_BASE_HEAP_H

#include "common/base/base.h"

struct heap_node {
    uint64_t key;
    uint32_t place; /* 0: not in the heap */
};

/* A zeroed heap is empty. */
struct heap {
    struct heap_node **nodes; /* the first node is nodes[1] */
    uint32_t n, alloc;
};

/* Adds the node, or changes its key. */
void heap_set(struct heap *h, struct heap_node *node, uint64_t key);
/* Removes the node. Does nothing when the node is not in the heap. */
void heap_remove(struct heap *h, struct heap_node *node);
/* Returns the node with the smallest key; NULL when the heap is empty. */
struct heap_node *heap_first(const struct heap *h);
void heap_release(struct heap *h);

#endif
