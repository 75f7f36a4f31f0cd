#include "common/base/unit_cost.h"

#include <time.h>

#define UNITS_MEASURED 32  /* units per measurement; a measurement for each unit would cost too many system calls */
#define DECAY          0.1 /* the sums decay by this share after each UNITS_MEASURED units */
#define PRIOR_UNITS    2.0 /* weight of the prior */
#define PRIOR_BYTE_NS  1.0
#define PRIOR_BYTES    4096.0
#define LEAST_NS       5000.0
#define MOST_NS        1000000.0

/* The prior acts like two measurements: one of units without bytes, and one of bytes without units. */
void unit_cost_init(struct unit_cost *c, uint64_t unit_ns, uint64_t cpu_ns)
{
    *c = (struct unit_cost){.cpu_ns = cpu_ns, .unit_ns = (double)unit_ns};
    c->nn = PRIOR_UNITS;
    c->ny = PRIOR_UNITS * (double)unit_ns;
    c->bb = PRIOR_BYTES * PRIOR_BYTES;
    c->by = PRIOR_BYTES * PRIOR_BYTES * PRIOR_BYTE_NS;
}

bool unit_cost_begin(struct unit_cost *c)
{
    return c->open++ == 0;
}

bool unit_cost_end(struct unit_cost *c, uint64_t bytes)
{
    c->open--;
    return unit_cost_add(c, bytes) || c->open == 0;
}

bool unit_cost_add(struct unit_cost *c, uint64_t bytes)
{
    c->bytes += bytes;
    return ++c->n >= UNITS_MEASURED;
}

static double clamp(double value, double least, double most)
{
    return value < least ? least : value > most ? most : value;
}

uint64_t unit_cost_measure(struct unit_cost *c, uint64_t cpu_ns)
{
    double n = (double)c->n, b = (double)c->bytes, y = (double)(cpu_ns - c->cpu_ns);
    double kept = 1 - DECAY * (n < UNITS_MEASURED ? n : UNITS_MEASURED) / UNITS_MEASURED;
    /* A measurement of n units has the weight 1 / n, because its error grows with the square root of n. */
    c->nn = kept * c->nn + n;
    c->nb = kept * c->nb + b;
    c->bb = kept * c->bb + b * b / n;
    c->ny = kept * c->ny + y;
    c->by = kept * c->by + b * y / n;
    c->cpu_ns = cpu_ns;
    c->n = c->bytes = 0;
    double determinant = c->nn * c->bb - c->nb * c->nb;
    /* If all units moved about the same number of bytes, the fit cannot separate the cost of a unit from the cost of
     * the bytes. In that case the cost of a byte is taken from the prior. */
    bool alike = determinant < 0.01 * c->nn * c->bb;
    double unit = alike ? (c->ny - PRIOR_BYTE_NS * c->nb) / c->nn : (c->ny * c->bb - c->by * c->nb) / determinant;
    c->unit_ns = clamp(unit, LEAST_NS, MOST_NS);
    return (uint64_t)c->unit_ns;
}

uint64_t unit_cost_now(const struct unit_cost *c, uint64_t bytes, uint64_t cpu_ns)
{
    struct unit_cost now = *c;
    now.n += c->open;
    now.bytes += bytes;
    return now.n > 0 ? unit_cost_measure(&now, cpu_ns) : (uint64_t)now.unit_ns;
}

uint64_t thread_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}
