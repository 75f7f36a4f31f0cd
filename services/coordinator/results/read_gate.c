#include "coordinator/results/read_gate.h"

#include "common/base/limits.h"

/* Maximum number of blocks that are read at the same time. A larger number would hardly make reading faster, because a
 * store reads only one block or a few blocks at a time. */
enum { OPEN_MAX = 8 };
/* While the readers hold blocks of this many bytes, no further block is read. */
#define HELD_BYTES ((size_t)256 * MIB)

void read_gate_init(struct read_gate *g)
{
    *g = (struct read_gate){0};
    list_init(&g->queue);
}

bool read_gate_has_room(const struct read_gate *g)
{
    return g->open < OPEN_MAX && g->held_bytes < HELD_BYTES;
}

bool read_gate_is_scarce(const struct read_gate *g)
{
    return g->queue.n > 0 && g->held_bytes >= HELD_BYTES / 2;
}

void read_gate_forget(struct read_gate *g, struct read_gate_place *p)
{
    if (!p->is_queued) return;
    list_remove(&g->queue, &p->link);
    p->is_queued = false;
}

bool read_gate_enter(struct read_gate *g, struct read_gate_place *p)
{
    if (read_gate_has_room(g)) {
        read_gate_forget(g, p);
        g->open++;
        return true;
    }
    if (!p->is_queued) list_push_back(&g->queue, &p->link);
    p->is_queued = true;
    return false;
}

struct read_gate_place *read_gate_leave(struct read_gate *g)
{
    g->open--;
    struct list_link *first = list_next(&g->queue, NULL);
    if (!first || !read_gate_has_room(g)) return NULL;
    struct read_gate_place *p = CONTAINER_OF(first, struct read_gate_place, link);
    read_gate_forget(g, p);
    return p;
}
