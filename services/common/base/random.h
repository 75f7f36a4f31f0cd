/*
 * Seeded randomness for jitter and choices: splitmix64 (Steele, Lea, Flood 2014). A seed gives the same numbers on
 * every machine, so a simulation can be repeated from its seed. Do not use these numbers for secrets.
 */
#ifndef FANTAIL_COMMON_BASE_RANDOM_H
#define FANTAIL_COMMON_BASE_RANDOM_H

#include "common/base/base.h"

struct random_source {
    uint64_t state; /* initially the seed */
};

static inline uint64_t random_u64(struct random_source *r)
{
    uint64_t z = (r->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Returns a number from 0 to n - 1. Each number is equally likely. */
static inline uint32_t random_below(struct random_source *r, uint32_t n)
{
    return (uint32_t)(((random_u64(r) >> 32) * n) >> 32);
}

/* Returns a number that is at least 0 and less than 1. */
static inline double random_unit(struct random_source *r)
{
    return (double)(random_u64(r) >> 11) * 0x1p-53;
}

#endif
