#include "coordinator/timing/wheel.h"

void wheel_init(struct wheel *w, uint64_t tick_ns, uint64_t now_ns)
{
    for (size_t i = 0; i < WHEEL_SLOTS; i++) list_init(&w->slots[i]);
    w->tick_ns = tick_ns;
    w->ticks = now_ns / tick_ns;
}

/* A node whose instant has passed is due at the next tick. */
void wheel_set(struct wheel *w, struct wheel_node *node, uint64_t due_ns)
{
    uint64_t tick = due_ns / w->tick_ns + 1;
    if (tick <= w->ticks) tick = w->ticks + 1;
    wheel_remove(node);
    node->due_ns = due_ns;
    node->slot = &w->slots[tick % WHEEL_SLOTS];
    list_push_back(node->slot, &node->link);
}

void wheel_remove(struct wheel_node *node)
{
    if (!node->slot) return;
    list_remove(node->slot, &node->link);
    node->slot = NULL;
}

static void run_slot(struct wheel *w, struct list *slot, uint64_t now_ns,
                     void (*due)(struct wheel_node *node, uint64_t now_ns))
{
    struct list_link *first;
    for (size_t n = slot->n; n > 0 && (first = list_next(slot, NULL)) != NULL; n--) {
        struct wheel_node *node = CONTAINER_OF(first, struct wheel_node, link);
        if (node->due_ns > now_ns) {
            wheel_set(w, node, node->due_ns); /* the node is due in a later round of the wheel */
            continue;
        }
        wheel_remove(node);
        due(node, now_ns);
    }
}

void wheel_run(struct wheel *w, uint64_t now_ns, void (*due)(struct wheel_node *node, uint64_t now_ns))
{
    uint64_t from = w->ticks + 1, to = now_ns / w->tick_ns;
    if (to < from) return;
    if (to - from >= WHEEL_SLOTS) from = to - WHEEL_SLOTS + 1;
    w->ticks = to;
    for (uint64_t tick = from; tick <= to; tick++) run_slot(w, &w->slots[tick % WHEEL_SLOTS], now_ns, due);
}
