/* The rules of a gate: which command may start, and which must end. */
#include <criterion/criterion.h>

#include "protocol/run_gate.h"

#define SEATS 4
#define S     NS_PER_S

static const struct run_gate_machine IDLE = {.load = 0, .free_bytes = UINT64_MAX};
static bool dead[SEATS];

static bool is_alive(void *arg, unsigned seat)
{
    (void)arg;
    return !dead[seat];
}

static struct run_gate *gate_with(struct run_gate_rules rules)
{
    struct run_gate *g = calloc(1, run_gate_size(SEATS));
    g->seats_count = SEATS;
    g->rules = rules;
    g->running_max = SEATS;
    memset(dead, 0, sizeof dead);
    return g;
}

static enum run_gate_answer ask_on(struct run_gate *g, unsigned seat, uint64_t index, uint64_t now,
                                   const struct run_gate_machine *m, uint64_t *wait_ns)
{
    g->seats[seat].index = index;
    return run_gate_ask(g, seat, now, m, is_alive, NULL, wait_ns);
}

static enum run_gate_answer ask(struct run_gate *g, unsigned seat, uint64_t index, uint64_t now)
{
    uint64_t wait_ns;
    return ask_on(g, seat, index, now, &IDLE, &wait_ns);
}

static void run_for(struct run_gate *g, unsigned seat, uint64_t start, uint64_t took, enum run_gate_end end)
{
    cr_assert_eq(ask(g, seat, start, start), RUN_GATE_GO);
    run_gate_note_end(g, seat, end, start + took);
}

Test(run_gate, without_rules_every_command_starts)
{
    struct run_gate *g = gate_with((struct run_gate_rules){0});
    cr_assert_not(run_gate_has_rules(g));
    for (unsigned i = 0; i < SEATS; i++) cr_assert_eq(ask(g, i, i, S), RUN_GATE_GO);
    cr_assert_eq(run_gate_deadline_ns(g, S), 0);
    free(g);
}

Test(run_gate, starts_are_spaced_and_come_in_the_order_of_the_items)
{
    struct run_gate *g = gate_with((struct run_gate_rules){.spacing_ns = 10 * S});
    uint64_t wait_ns;
    cr_assert(run_gate_has_rules(g));
    cr_assert_eq(ask(g, 0, 0, 100 * S), RUN_GATE_GO);
    cr_assert_eq(ask(g, 1, 7, 101 * S), RUN_GATE_WAIT);
    cr_assert_eq(ask_on(g, 2, 5, 102 * S, &IDLE, &wait_ns), RUN_GATE_WAIT);
    cr_assert_eq(wait_ns, 8 * S);
    cr_assert_eq(ask(g, 1, 7, 110 * S), RUN_GATE_WAIT, "item 5 is first");
    uint32_t turns = g->turns;
    cr_assert_eq(ask(g, 2, 5, 110 * S), RUN_GATE_GO);
    cr_assert_neq(g->turns, turns, "the others must look again");
    cr_assert_eq(ask(g, 1, 7, 119 * S), RUN_GATE_WAIT);
    cr_assert_eq(ask(g, 1, 7, 120 * S), RUN_GATE_GO);
    free(g);
}

Test(run_gate, a_process_that_has_died_keeps_nobody_waiting)
{
    struct run_gate *g = gate_with((struct run_gate_rules){.spacing_ns = S, .limits_running = true});
    g->running_max = 1;
    cr_assert_eq(ask(g, 0, 0, S), RUN_GATE_GO);
    cr_assert_eq(ask(g, 1, 1, S), RUN_GATE_WAIT);
    cr_assert_eq(ask(g, 2, 2, 3 * S), RUN_GATE_WAIT);
    dead[0] = dead[1] = true;
    cr_assert_eq(ask(g, 2, 2, 3 * S), RUN_GATE_GO);
    free(g);
}

Test(run_gate, if_few_commands_may_run_the_first_items_wait_for_those_whose_processes_still_start)
{
    struct run_gate *g = gate_with((struct run_gate_rules){.limits_running = true});
    uint64_t wait_ns;
    g->running_max = 2;
    cr_assert_eq(ask_on(g, 2, 2, S, &IDLE, &wait_ns), RUN_GATE_WAIT);
    cr_assert_lt(wait_ns, S);
    cr_assert_eq(ask(g, 0, 0, S + 1), RUN_GATE_GO);
    cr_assert_eq(ask(g, 2, 2, S + 2), RUN_GATE_WAIT, "item 1 has not come");
    run_gate_note_end(g, 0, RUN_GATE_END_SUCCEEDED, S + 3);
    cr_assert_eq(ask(g, 2, 2, S + 4), RUN_GATE_WAIT, "item 1 has not come");
    cr_assert_eq(ask(g, 1, 1, S + 5), RUN_GATE_GO);
    cr_assert_eq(ask(g, 2, 2, S + 6), RUN_GATE_GO);
    free(g);
}

Test(run_gate, no_item_waits_long_for_an_item_that_never_comes)
{
    struct run_gate *g = gate_with((struct run_gate_rules){.limits_running = true});
    uint64_t wait_ns;
    cr_assert_eq(ask_on(g, 0, 7, S, &IDLE, &wait_ns), RUN_GATE_WAIT);
    cr_assert_eq(ask(g, 0, 7, S + wait_ns), RUN_GATE_GO);
    cr_assert_eq(ask(g, 1, 9, S + wait_ns), RUN_GATE_GO);
    free(g);
}

Test(run_gate, no_two_running_commands_have_the_same_slot)
{
    struct run_gate *g = gate_with((struct run_gate_rules){.limits_running = true});
    g->running_max = 2;
    cr_assert_eq(ask(g, 3, 0, S), RUN_GATE_GO);
    cr_assert_eq(ask(g, 1, 1, S), RUN_GATE_GO);
    cr_assert_eq(ask(g, 2, 2, S), RUN_GATE_WAIT);
    cr_assert_eq(g->seats[3].slot, 1);
    cr_assert_eq(g->seats[1].slot, 2);
    run_gate_note_end(g, 3, RUN_GATE_END_SUCCEEDED, 2 * S);
    cr_assert_eq(ask(g, 2, 2, 2 * S), RUN_GATE_GO);
    cr_assert_eq(g->seats[2].slot, 1);
    g->running_max = 1;
    run_gate_note_end(g, 1, RUN_GATE_END_SUCCEEDED, 3 * S);
    cr_assert_eq(ask(g, 1, 3, 3 * S), RUN_GATE_WAIT, "the number in the file has fallen");
    free(g);
}

Test(run_gate, the_client_learns_what_holds_the_next_command_back)
{
    struct run_gate *g = gate_with((struct run_gate_rules){.max_load = 2, .min_free_bytes = 1000, .spacing_ns = S});
    uint64_t wait_ns = 0;
    const struct run_gate_machine busy = {2, 1000}, full = {1, 999};
    cr_assert_eq(ask_on(g, 0, 0, S, &busy, &wait_ns), RUN_GATE_WAIT);
    cr_expect(g->hold == RUN_GATE_HOLD_LOAD && g->held_since_ns == S && g->held_at.load == 2);
    cr_assert_eq(ask_on(g, 1, 1, 2 * S, &IDLE, &wait_ns), RUN_GATE_WAIT);
    cr_expect_eq(g->hold, RUN_GATE_HOLD_LOAD, "item 1 waits for item 0");
    cr_assert_eq(ask_on(g, 0, 0, 3 * S, &full, &wait_ns), RUN_GATE_WAIT);
    cr_expect(g->hold == RUN_GATE_HOLD_MEMORY && g->held_since_ns == S && g->held_at.free_bytes == 999);
    cr_assert_eq(ask(g, 0, 0, 4 * S), RUN_GATE_GO);
    cr_expect_eq(g->hold, RUN_GATE_HOLD_NONE);
    cr_assert_eq(ask_on(g, 1, 1, 4 * S, &busy, &wait_ns), RUN_GATE_WAIT);
    cr_expect_eq(g->hold, RUN_GATE_HOLD_NONE, "the delay holds it back");
    cr_assert_eq(ask_on(g, 1, 1, 5 * S, &busy, &wait_ns), RUN_GATE_WAIT);
    cr_expect(g->hold == RUN_GATE_HOLD_LOAD && g->held_since_ns == 5 * S);
    run_gate_halt(g, RUN_GATE_CLOSED);
    cr_assert_eq(ask_on(g, 1, 1, 6 * S, &busy, &wait_ns), RUN_GATE_HALTED);
    cr_expect_eq(g->hold, RUN_GATE_HOLD_NONE);
    free(g);
}

Test(run_gate, a_busy_machine_or_short_memory_holds_commands_back)
{
    struct run_gate *g = gate_with((struct run_gate_rules){.max_load = 2, .min_free_bytes = 1000});
    uint64_t wait_ns = 0;
    const struct run_gate_machine busy = {2, 1000}, full = {1, 999}, good = {1, 1000};
    cr_assert_eq(ask_on(g, 0, 0, S, &busy, &wait_ns), RUN_GATE_WAIT);
    cr_assert_gt(wait_ns, 0);
    cr_assert_eq(ask_on(g, 0, 0, S, &full, &wait_ns), RUN_GATE_WAIT);
    cr_assert_eq(ask_on(g, 0, 0, S, &good, &wait_ns), RUN_GATE_GO);
    free(g);
}

Test(run_gate, only_the_youngest_of_several_commands_yields)
{
    struct run_gate *g = gate_with((struct run_gate_rules){.min_free_bytes = 1000});
    const struct run_gate_machine low = {0, 499}, enough = {0, 500};
    cr_assert_eq(ask(g, 0, 0, S), RUN_GATE_GO);
    cr_assert_not(run_gate_must_yield(g, 0, 2 * S, &low, is_alive, NULL), "it is the only one");
    cr_assert_eq(ask(g, 1, 1, 2 * S), RUN_GATE_GO);
    cr_assert_not(run_gate_must_yield(g, 0, 2 * S, &low, is_alive, NULL));
    cr_assert(run_gate_must_yield(g, 1, 2 * S, &low, is_alive, NULL));
    cr_assert_not(run_gate_must_yield(g, 1, 10 * S, &enough, is_alive, NULL));
    cr_assert_eq(ask(g, 2, 2, 3 * S), RUN_GATE_GO);
    dead[2] = true;
    cr_assert(run_gate_must_yield(g, 1, 20 * S, &low, is_alive, NULL), "the younger one has no process any more");
    dead[0] = true;
    cr_assert_not(run_gate_must_yield(g, 1, 20 * S, &low, is_alive, NULL), "it is the only one with a process");
    free(g);
}

Test(run_gate, the_next_command_yields_only_after_a_pause)
{
    struct run_gate *g = gate_with((struct run_gate_rules){.min_free_bytes = 1000});
    const struct run_gate_machine low = {0, 499};
    for (unsigned i = 0; i < 3; i++) cr_assert_eq(ask(g, i, i, (1 + i) * S), RUN_GATE_GO);
    cr_assert(run_gate_must_yield(g, 2, 4 * S, &low, is_alive, NULL));
    run_gate_note_end(g, 2, RUN_GATE_END_AGAIN, 4 * S);
    cr_assert_not(run_gate_must_yield(g, 1, 4 * S + 1, &low, is_alive, NULL), "the memory is not free yet");
    cr_assert(run_gate_must_yield(g, 1, 5 * S, &low, is_alive, NULL));
    free(g);
}

Test(run_gate, a_time_limit_may_be_a_multiple_of_the_median)
{
    struct run_gate *g = gate_with((struct run_gate_rules){.timeout_factor = 2});
    run_for(g, 0, 1, 5 * S, RUN_GATE_END_SUCCEEDED);
    run_for(g, 0, 2, 10 * S, RUN_GATE_END_SUCCEEDED);
    run_for(g, 0, 3, 900 * S, RUN_GATE_END_FAILED);
    cr_assert_eq(run_gate_deadline_ns(g, 100 * S), 0, "two runs are too few");
    run_for(g, 0, 4, 500 * S, RUN_GATE_END_SUCCEEDED);
    uint64_t limit = run_gate_deadline_ns(g, 100 * S) - 100 * S;
    cr_assert(limit > 18 * S && limit < 22 * S, "%llu", (unsigned long long)limit);
    free(g);
}

Test(run_gate, the_median_of_very_short_and_very_long_times_is_near)
{
    static const uint64_t times[] = {
        0, 1, 7, 8, 9, 1000, 123456789, 40 * S, 3600 * S, 400 * 86400 * S, UINT64_MAX >> 1};
    for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
        struct run_gate *g = gate_with((struct run_gate_rules){.timeout_factor = 1});
        for (int n = 0; n < RUN_GATE_LEAST; n++) run_for(g, 0, 0, times[i], RUN_GATE_END_SUCCEEDED);
        double near = (double)run_gate_deadline_ns(g, 0), exact = (double)times[i];
        cr_assert(near >= exact * 0.93 - 1 && near <= exact * 1.07 + 1, "%g for %g", near, exact);
        free(g);
    }
}

Test(run_gate, a_fixed_time_limit_needs_no_other_runs)
{
    struct run_gate *g = gate_with((struct run_gate_rules){.timeout_ns = 5 * S});
    cr_assert_eq(run_gate_deadline_ns(g, 100 * S), 105 * S);
    free(g);
}

static void end(struct run_gate *g, enum run_gate_end how)
{
    run_for(g, 0, S, S, how);
}

Test(run_gate, a_run_is_halted_after_a_number_of_failures)
{
    struct run_gate *g = gate_with((struct run_gate_rules){.halt_why = RUN_GATE_FAILED, .halt_count = 2});
    end(g, RUN_GATE_END_FAILED);
    end(g, RUN_GATE_END_SUCCEEDED);
    end(g, RUN_GATE_END_AGAIN);
    cr_assert_eq(g->state, RUN_GATE_OPEN);
    cr_assert_eq(ask(g, 1, 5, S), RUN_GATE_GO);
    end(g, RUN_GATE_END_FAILED);
    cr_assert_eq(g->state, RUN_GATE_CLOSED);
    cr_assert_eq(ask(g, 2, 6, S), RUN_GATE_HALTED);
    run_gate_note_end(g, 1, RUN_GATE_END_SUCCEEDED, 2 * S);
    cr_assert_eq(g->state, RUN_GATE_CLOSED, "a state never goes back");
    free(g);
}

Test(run_gate, successes_or_all_ends_may_be_counted_and_running_commands_be_cut)
{
    struct run_gate *g =
        gate_with((struct run_gate_rules){.halt_why = RUN_GATE_SUCCEEDED, .halt_count = 1, .halt_cuts = true});
    end(g, RUN_GATE_END_FAILED);
    cr_assert_eq(g->state, RUN_GATE_OPEN);
    end(g, RUN_GATE_END_SUCCEEDED);
    cr_assert_eq(g->state, RUN_GATE_CUT);
    free(g);
    g = gate_with((struct run_gate_rules){.halt_why = RUN_GATE_DONE, .halt_count = 2});
    end(g, RUN_GATE_END_FAILED);
    end(g, RUN_GATE_END_SUCCEEDED);
    cr_assert_eq(g->state, RUN_GATE_CLOSED);
    free(g);
}

Test(run_gate, a_fraction_of_all_items_counts_when_their_number_is_known)
{
    struct run_gate *g = gate_with((struct run_gate_rules){.halt_why = RUN_GATE_FAILED, .halt_fraction = 0.1});
    for (int i = 0; i < 3; i++) end(g, RUN_GATE_END_FAILED);
    cr_assert_eq(g->state, RUN_GATE_OPEN);
    g->total = 35;
    end(g, RUN_GATE_END_SUCCEEDED);
    cr_assert_eq(g->state, RUN_GATE_OPEN, "3 of 35 are less than 10 %%");
    end(g, RUN_GATE_END_FAILED);
    cr_assert_eq(g->state, RUN_GATE_CLOSED);
    free(g);
}
