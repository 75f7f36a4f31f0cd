#include "protocol/run_gate.h"

#define YIELD_PAUSE_NS NS_PER_S /* least time between two commands that are killed because memory is short */

bool run_gate_has_rules(const struct run_gate *g)
{
    const struct run_gate_rules *r = &g->rules;
    return r->spacing_ns || r->timeout_ns || r->timeout_factor > 0 || r->max_load > 0 || r->min_free_bytes ||
           r->halt_why || r->limits_running;
}

/* Returns whether this command is the youngest of several running commands. The youngest command has done the least
 * work. */
static bool is_youngest(const struct run_gate *g, unsigned seat, bool (*is_alive)(void *, unsigned), void *arg)
{
    bool others = false;
    for (unsigned i = 0; i < g->seats_count; i++) {
        const struct run_gate_seat *s = &g->seats[i];
        if (i == seat || s->state != RUN_GATE_SEAT_RUNNING || !is_alive(arg, i)) continue;
        if (s->started_ns > g->seats[seat].started_ns) return false;
        others = true;
    }
    return others;
}

bool run_gate_must_yield(struct run_gate *g, unsigned seat, uint64_t now, const struct run_gate_machine *m,
                         bool (*is_alive)(void *arg, unsigned seat), void *arg)
{
    const struct run_gate_rules *r = &g->rules;
    if (!r->min_free_bytes || m->free_bytes >= r->min_free_bytes / 2 || now < g->next_yield_ns) return false;
    if (!is_youngest(g, seat, is_alive, arg)) return false;
    g->next_yield_ns = now + YIELD_PAUSE_NS;
    return true;
}
