#include "worker/system/output_gate.h"

#include "common/base/limits.h"
#include "common/observe/log.h"

/* In one turn, each process may add up to 64 KiB of output. If this output consists only of newlines, the task's name
 * before each newline can make the output 100 times as long. */
#define ROOM_BYTES (64 * MIB)
/* Standard error may be shared with other programs. Polling it in the loop would make it non-blocking for those
 * programs too. So a timer checks again whether standard error accepts lines. */
#define RETRY_MS 2

static void on_timer(uv_timer_t *timer)
{
    struct output_gate *g = timer->data;
    while (g->first && output_gate_is_open()) {
        struct output_waiter *w = g->first;
        output_gate_leave(g, w);
        /* After resume(), the gate may be closed again. The waiter then waits again, after the other waiters. */
        w->resume(w, now_ns() - w->since_ns);
    }
    if (!g->first) uv_timer_stop(timer);
}

void output_gate_init(struct output_gate *g, uv_loop_t *loop)
{
    g->first = NULL;
    g->last = &g->first;
    uv_timer_init(loop, &g->timer);
    uv_unref((uv_handle_t *)&g->timer);
    g->timer.data = g;
    log_set_room(ROOM_BYTES);
}

void output_gate_close(struct output_gate *g)
{
    if (g->first) BUG("a process waits at the gate of a worker that ends");
    uv_close((uv_handle_t *)&g->timer, NULL);
}

bool output_gate_is_open(void)
{
    log_flush();
    return log_waiting() == 0;
}

void output_gate_wait(struct output_gate *g, struct output_waiter *w)
{
    if (w->waits) return;
    w->waits = true;
    w->since_ns = now_ns();
    w->next = NULL;
    *g->last = w;
    g->last = &w->next;
    if (!uv_is_active((uv_handle_t *)&g->timer)) uv_timer_start(&g->timer, on_timer, RETRY_MS, RETRY_MS);
}

void output_gate_leave(struct output_gate *g, struct output_waiter *w)
{
    if (!w->waits) return;
    w->waits = false;
    for (struct output_waiter **at = &g->first; *at; at = &(*at)->next) {
        if (*at != w) continue;
        *at = w->next;
        if (!*at) g->last = at;
        return;
    }
}
