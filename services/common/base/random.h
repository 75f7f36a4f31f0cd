/*
 * Seeded randomness for jitter and choices: splitmix64 (Steele, Lea, Flood 2014). It gives the same numbers on every
 * machine, so a simulation can be repeated from its seed. Do not use it for secrets.
 */
#ifndef FANTAIL_COMMON_BASE_RANDOM_H
#define FANTAIL_COMMON_BASE_RANDOM_H

#include "common/base/base.h"

struct random_source {
    uint64_t state; /* the seed */
};

uint64_t random_u64(struct random_source *r);
uint32_t random_below(struct random_source *r, uint32_t n); /* uniform in [0, n) */
double random_unit(struct random_source *r);                /* uniform in [0, 1) */

#endif
