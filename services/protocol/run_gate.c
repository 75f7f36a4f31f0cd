#include "protocol/run_gate.h"

#define POLL_NS        (200 * NS_PER_MS) /* how often the load and the free memory are checked */
#define LONG_WAIT_NS   NS_PER_S          /* a change of `turns` ends a wait earlier */
#define YIELD_PAUSE_NS NS_PER_S          /* least time between two commands that are killed because memory is short */
#define CLASSES_OF_TWO 8                 /* number of classes of times from one power of two to the next */

const char *const run_gate_why_words[] = {"never", "fail", "success", "done"};
static_assert(ARRAY_SIZE(run_gate_why_words) == RUN_GATE_WHY_COUNT, "a word for each");

bool run_gate_has_rules(const struct run_gate *g)
{
    const struct run_gate_rules *r = &g->rules;
    return r->spacing_ns || r->timeout_ns || r->timeout_factor > 0 || r->max_load > 0 || r->min_free_bytes ||
           r->halt_why || r->limits_running;
}

/* ---- the median of the run times ---- */

/* Each time below 8 ns has a class of its own. Larger times share a class if they have the same number of bits and the
 * same highest four bits. */
static unsigned class_of(uint64_t ns)
{
    if (ns < CLASSES_OF_TWO) return (unsigned)ns;
    unsigned shift = 60 - (unsigned)__builtin_clzll(ns);
    unsigned class = (shift + 1) * CLASSES_OF_TWO + (unsigned)(ns >> shift) % CLASSES_OF_TWO;
    return class < RUN_GATE_TIMES ? class : RUN_GATE_TIMES - 1;
}

/* Returns the middle of a class. */
static uint64_t time_of(unsigned class)
{
    if (class < CLASSES_OF_TWO) return class;
    unsigned shift = class / CLASSES_OF_TWO - 1;
    uint64_t low = (uint64_t)(CLASSES_OF_TWO + class % CLASSES_OF_TWO) << shift;
    return low + ((UINT64_C(1) << shift) >> 1);
}

static uint64_t median_ns(const struct run_gate *g)
{
    uint64_t seen = 0;
    for (unsigned class = 0; class < RUN_GATE_TIMES; class ++) {
        seen += g->times[class];
        if (2 * seen >= g->times_count) return time_of(class);
    }
    return 0;
}

uint64_t run_gate_deadline_ns(const struct run_gate *g, uint64_t started_ns)
{
    const struct run_gate_rules *r = &g->rules;
    if (r->timeout_ns) return started_ns + r->timeout_ns;
    if (r->timeout_factor <= 0 || g->times_count < RUN_GATE_LEAST) return 0;
    return started_ns + (uint64_t)(r->timeout_factor * (double)median_ns(g));
}

/* ---- starts ---- */

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

static unsigned running(const struct run_gate *g, bool (*is_alive)(void *, unsigned), void *arg)
{
    unsigned n = 0;
    for (unsigned i = 0; i < g->seats_count; i++) n += g->seats[i].state == RUN_GATE_SEAT_RUNNING && is_alive(arg, i);
    return n;
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

static bool has_room(const struct run_gate *g, const struct run_gate_machine *m)
{
    const struct run_gate_rules *r = &g->rules;
    return (r->max_load <= 0 || m->load < r->max_load) && m->free_bytes >= r->min_free_bytes;
}

enum run_gate_answer run_gate_ask(struct run_gate *g, unsigned seat, uint64_t now, const struct run_gate_machine *m,
                                  bool (*is_alive)(void *arg, unsigned seat), void *arg, uint64_t *wait_ns)
{
    struct run_gate_seat *s = &g->seats[seat];
    if (g->state != RUN_GATE_OPEN) {
        s->state = RUN_GATE_SEAT_FREE;
        return RUN_GATE_HALTED;
    }
    s->state = RUN_GATE_SEAT_WAITING;
    *wait_ns = LONG_WAIT_NS;
    if (is_another_first(g, seat, is_alive, arg)) return RUN_GATE_WAIT;
    if (g->rules.limits_running && running(g, is_alive, arg) >= g->running_max) return RUN_GATE_WAIT;
    if (now < g->next_start_ns) {
        *wait_ns = g->next_start_ns - now;
        return RUN_GATE_WAIT;
    }
    if (!has_room(g, m)) {
        *wait_ns = POLL_NS;
        return RUN_GATE_WAIT;
    }
    s->slot = choose_slot(g, seat, is_alive, arg);
    s->state = RUN_GATE_SEAT_RUNNING;
    s->started_ns = now;
    if (g->rules.spacing_ns) g->next_start_ns = now + g->rules.spacing_ns;
    run_gate_turn(g);
    return RUN_GATE_GO;
}

/* ---- ends ---- */

void run_gate_halt(struct run_gate *g, enum run_gate_state to)
{
    if (to > g->state) g->state = to;
    run_gate_turn(g);
}

static uint64_t counted(const struct run_gate *g)
{
    switch (g->rules.halt_why) {
    case RUN_GATE_FAILED: return g->failed;
    case RUN_GATE_SUCCEEDED: return g->done - g->failed;
    case RUN_GATE_DONE: return g->done;
    case RUN_GATE_NEVER:
    case RUN_GATE_WHY_COUNT: break;
    }
    return 0;
}

static bool must_halt(const struct run_gate *g)
{
    const struct run_gate_rules *r = &g->rules;
    double limit = r->halt_fraction > 0 ? r->halt_fraction * (double)g->total : r->halt_count;
    return r->halt_why != RUN_GATE_NEVER && limit > 0 && (double)counted(g) >= limit;
}

void run_gate_note_end(struct run_gate *g, unsigned seat, enum run_gate_end end, uint64_t now)
{
    struct run_gate_seat *s = &g->seats[seat];
    uint64_t took = now - s->started_ns;
    s->state = RUN_GATE_SEAT_FREE;
    run_gate_turn(g);
    if (end == RUN_GATE_END_AGAIN) return;
    g->done++;
    g->failed += end == RUN_GATE_END_FAILED;
    if (end == RUN_GATE_END_SUCCEEDED) {
        g->times[class_of(took)]++;
        g->times_count++;
    }
    if (must_halt(g)) run_gate_halt(g, g->rules.halt_cuts ? RUN_GATE_CUT : RUN_GATE_CLOSED);
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
