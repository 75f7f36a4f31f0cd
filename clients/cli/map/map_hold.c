/* Tells the user why no command starts: --load and --memfree hold commands back. */
#include "cli/base/complain.h"
#include "cli/map/map_internal.h"

#define SAY_NS  (3 * NS_PER_S) /* how long commands are held back before a message says why */
#define LOOK_NS NS_PER_S       /* how often the gate is read */

static bool is_watched(const struct map_run *run)
{
    const struct run_gate_rules *r = &run->options->rules;
    return run->private_fleet.gate.shared && (r->max_load > 0 || r->min_free_bytes);
}

static bool is_running(const struct run_gate *g)
{
    for (unsigned i = 0; i < g->seats_count; i++)
        if (g->seats[i].state == RUN_GATE_SEAT_RUNNING) return true;
    return false;
}

/* Writes the note of the progress line: what holds back the next command, with the measured value and the limit. */
static void write_note(struct map_run *run, const struct run_gate *g, enum run_gate_hold hold)
{
    const struct map_options *o = run->options;
    char *note = run->hold_note;
    size_t size = sizeof run->hold_note;
    note[0] = '\0';
    if (hold == RUN_GATE_HOLD_LOAD)
        snprintf(note, size, "waiting: %.0f processes run, --load %s allows fewer than %g", g->held_at.load, o->load,
                 g->rules.max_load);
    if (hold == RUN_GATE_HOLD_MEMORY)
        snprintf(note, size, "waiting: %.1f GiB of memory is free, --memfree needs %.1f GiB",
                 (double)g->held_at.free_bytes / (double)GIB, (double)g->rules.min_free_bytes / (double)GIB);
}

/* Returns whether to write a message now. A running command raises the load and uses memory itself. So while a command
 * of this run is running, the next command may have to wait, and no message is needed. */
static bool must_say(const struct map_run *run, const struct run_gate *g, enum run_gate_hold hold, uint64_t now)
{
    bool is_shown = run->progress.on || (run->options->quiet && !run->options->manner.is_parallel);
    return hold && hold != run->hold_said && !is_shown && now > g->held_since_ns + SAY_NS && !is_running(g);
}

void map_hold_look(struct map_run *run, uint64_t now)
{
    if (!is_watched(run) || now < run->hold_look_ns) return;
    const struct run_gate *g = run->private_fleet.gate.shared;
    enum run_gate_hold hold = (enum run_gate_hold)g->hold;
    run->hold_look_ns = now + LOOK_NS;
    write_note(run, g, hold);
    if (!must_say(run, g, hold, now)) return;
    complain("%s", run->hold_note);
    run->hold_said = hold;
}

uint64_t map_hold_due_ns(const struct map_run *run)
{
    return is_watched(run) ? run->hold_look_ns : UINT64_MAX;
}
