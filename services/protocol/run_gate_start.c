/* Decides when the next command may start. */
#include "protocol/run_gate.h"

#define POLL_NS      (200 * NS_PER_MS) /* how often the load and the free memory are checked */
#define LONG_WAIT_NS NS_PER_S          /* the longest wait; a change of `turns` ends the wait earlier */
#define BEGIN_NS     (200 * NS_PER_MS) /* how long the beginning of a run lasts, see is_one_missing() */

/* Returns whether another item, with a lower index, also waits. Waiting items start in the order of their indexes. */
static bool is_another_first(const struct run_gate *g, unsigned seat, bool (*is_alive)(void *, unsigned), void *arg)
{
    for (unsigned i = 0; i < g->seats_count; i++) {
        const struct run_gate_seat *s = &g->seats[i];
        if (i == seat || s->state != RUN_GATE_SEAT_WAITING || s->index >= g->seats[seat].index) continue;
        if (is_alive(arg, i)) return true;
    }
    return false;
}

static unsigned count_running(const struct run_gate *g, bool (*is_alive)(void *, unsigned), void *arg)
{
    unsigned n = 0;
    for (unsigned i = 0; i < g->seats_count; i++) n += g->seats[i].state == RUN_GATE_SEAT_RUNNING && is_alive(arg, i);
    return n;
}

/* Returns whether an item with a lower index has not come yet, because its process still starts. So a run with only one
 * command at a time also begins with its first item. Some indexes may never come, for example with --resume. So after
 * the beginning of a run, no item waits for an item that has not come. */
static bool is_one_missing(struct run_gate *g, unsigned seat, unsigned running, uint64_t now)
{
    if (!g->first_ns) g->first_ns = now;
    return now < g->first_ns + BEGIN_NS && g->done + running < g->seats[seat].index;
}

static bool is_slot_used(const struct run_gate *g, uint32_t slot, bool (*is_alive)(void *, unsigned), void *arg)
{
    for (unsigned i = 0; i < g->seats_count; i++) {
        const struct run_gate_seat *s = &g->seats[i];
        if (s->state == RUN_GATE_SEAT_RUNNING && s->slot == slot && is_alive(arg, i)) return true;
    }
    return false;
}

/* Returns a slot for a command that starts. If the number of running commands is limited, there are fewer slots than
 * seats. */
static uint32_t choose_slot(const struct run_gate *g, unsigned seat, bool (*is_alive)(void *, unsigned), void *arg)
{
    uint32_t slot = 1;
    if (!g->rules.limits_running) return seat + 1;
    while (is_slot_used(g, slot, is_alive, arg)) slot++;
    return slot;
}

static enum run_gate_hold hold_of(const struct run_gate *g, const struct run_gate_machine *m)
{
    const struct run_gate_rules *r = &g->rules;
    if (r->max_load > 0 && m->load >= r->max_load) return RUN_GATE_HOLD_LOAD;
    return m->free_bytes < r->min_free_bytes ? RUN_GATE_HOLD_MEMORY : RUN_GATE_HOLD_NONE;
}

/* Notes what holds back the next command, for the client. */
static void note_hold(struct run_gate *g, enum run_gate_hold hold, const struct run_gate_machine *m, uint64_t now)
{
    if (g->hold == RUN_GATE_HOLD_NONE) g->held_since_ns = now;
    g->held_at = *m;
    g->hold = hold;
}

enum run_gate_answer run_gate_ask(struct run_gate *g, unsigned seat, uint64_t now, const struct run_gate_machine *m,
                                  bool (*is_alive)(void *arg, unsigned seat), void *arg, uint64_t *wait_ns)
{
    struct run_gate_seat *s = &g->seats[seat];
    if (g->state != RUN_GATE_OPEN) {
        s->state = RUN_GATE_SEAT_FREE;
        g->hold = RUN_GATE_HOLD_NONE;
        return RUN_GATE_HALTED;
    }
    s->state = RUN_GATE_SEAT_WAITING;
    *wait_ns = LONG_WAIT_NS;
    if (is_another_first(g, seat, is_alive, arg)) return RUN_GATE_WAIT;
    unsigned running = g->rules.limits_running ? count_running(g, is_alive, arg) : 0;
    if (g->rules.limits_running && is_one_missing(g, seat, running, now)) {
        *wait_ns = g->first_ns + BEGIN_NS - now;
        return RUN_GATE_WAIT;
    }
    bool is_full = g->rules.limits_running && running >= g->running_max;
    bool is_early = now < g->next_start_ns;
    enum run_gate_hold hold = is_full || is_early ? RUN_GATE_HOLD_NONE : hold_of(g, m);
    note_hold(g, hold, m, now);
    if (is_full) return RUN_GATE_WAIT;
    if (is_early || hold) {
        *wait_ns = is_early ? g->next_start_ns - now : POLL_NS;
        return RUN_GATE_WAIT;
    }
    s->slot = choose_slot(g, seat, is_alive, arg);
    s->state = RUN_GATE_SEAT_RUNNING;
    s->started_ns = now;
    if (g->rules.spacing_ns) g->next_start_ns = now + g->rules.spacing_ns;
    run_gate_turn(g);
    return RUN_GATE_GO;
}
