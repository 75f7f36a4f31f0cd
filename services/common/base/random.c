#include "common/base/random.h"

uint64_t random_u64(struct random_source *r)
{
    uint64_t z = (r->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint32_t random_below(struct random_source *r, uint32_t n)
{
    return (uint32_t)(((random_u64(r) >> 32) * n) >> 32);
}

double random_unit(struct random_source *r)
{
    return (double)(random_u64(r) >> 11) * 0x1p-53;
}
