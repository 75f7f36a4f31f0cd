#include "common/base/heap.h"

#include <stdlib.h>

/* Places start at 1, so that 0 can mean "not in the heap". */
static void put(struct heap *h, uint32_t place, struct heap_node *node)
{
    h->nodes[place] = node;
    node->place = place;
}

static void sift_up(struct heap *h, uint32_t i, struct heap_node *node)
{
    for (; i > 1 && h->nodes[i / 2]->key > node->key; i /= 2) put(h, i, h->nodes[i / 2]);
    put(h, i, node);
}

static void sift_down(struct heap *h, uint32_t i, struct heap_node *node)
{
    for (;;) {
        uint32_t child = 2 * i;
        if (child > h->n) break;
        if (child < h->n && h->nodes[child + 1]->key < h->nodes[child]->key) child++;
        if (h->nodes[child]->key >= node->key) break;
        put(h, i, h->nodes[child]);
        i = child;
    }
    put(h, i, node);
}

static void change_key(struct heap *h, struct heap_node *node, uint64_t key)
{
    bool smaller = key < node->key;
    node->key = key;
    if (smaller)
        sift_up(h, node->place, node);
    else
        sift_down(h, node->place, node);
}

void heap_set(struct heap *h, struct heap_node *node, uint64_t key)
{
    if (node->place != 0) {
        change_key(h, node, key);
        return;
    }
    if (h->n + 1 >= h->alloc) {
        h->alloc = h->alloc ? 2 * h->alloc : 64;
        h->nodes = xrealloc(h->nodes, h->alloc * sizeof(struct heap_node *));
    }
    node->key = key;
    h->n++;
    sift_up(h, h->n, node);
}

void heap_remove(struct heap *h, struct heap_node *node)
{
    uint32_t i = node->place;
    if (i == 0) return;
    node->place = 0;
    struct heap_node *last = h->nodes[h->n--];
    if (last == node) return;
    if (i > 1 && h->nodes[i / 2]->key > last->key)
        sift_up(h, i, last);
    else
        sift_down(h, i, last);
}

struct heap_node *heap_first(const struct heap *h)
{
    return h->n > 0 ? h->nodes[1] : NULL;
}

void heap_release(struct heap *h)
{
    free(h->nodes);
    *h = (struct heap){0};
}
