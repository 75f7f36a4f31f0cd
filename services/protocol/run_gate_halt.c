/* Counts the ends of commands, and halts the run when the rules demand this (--halt). */
#include "protocol/run_gate_internal.h"

const char *const run_gate_why_words[] = {"never", "fail", "success", "done"};
static_assert(ARRAY_SIZE(run_gate_why_words) == RUN_GATE_WHY_COUNT, "a word for each");

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
    if (end == RUN_GATE_END_SUCCEEDED) run_gate_add_time(g, took);
    if (must_halt(g)) run_gate_halt(g, g->rules.halt_cuts ? RUN_GATE_CUT : RUN_GATE_CLOSED);
}
