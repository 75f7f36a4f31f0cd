/* Declarations that the shows*.c files share. */
#ifndef FANTAIL_SIM_SHOWS_H
#define FANTAIL_SIM_SHOWS_H

#include "sim/world.h"

/* Returns a scenario without faults: workers with this number of slots, and one job of log-normal items. */
struct sim_scenario show_fleet(const char *name, unsigned workers, unsigned slots, uint64_t items, double item_s);
/* Runs the scenario. A broken invariant counts as a missed figure. */
struct sim_result show_run(const struct sim_scenario *sc);
/* Prints a measured figure and the required figure. Counts the measured figure as missed if it does not meet the
 * required figure. */
void show_judge(const char *name, const char *what, double is, double limit, bool at_most);

/* shows_retries.c */
void show_failing(void);
void show_backoff(void);

#endif
