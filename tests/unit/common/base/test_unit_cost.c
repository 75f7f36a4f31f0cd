#include <criterion/criterion.h>

#include "common/base/random.h"
#include "common/base/unit_cost.h"

/* Simulates the processor time: 30 us for a unit and 0.7 ns for a byte, plus or minus 10 %. */
static uint64_t spend(struct random_source *r, uint64_t units, uint64_t bytes)
{
    double exact = 30000.0 * (double)units + 0.7 * (double)bytes;
    return (uint64_t)(exact * (0.9 + 0.2 * random_unit(r)));
}

static uint64_t after(unsigned measurements, uint64_t least_bytes, uint64_t most_bytes)
{
    struct unit_cost c;
    struct random_source r = {5};
    uint64_t cpu = 1000, unit = 0;
    unit_cost_init(&c, 100000, cpu);
    for (unsigned i = 0; i < measurements; i++) {
        uint64_t n = 0, bytes = 0, each = least_bytes + random_below(&r, (uint32_t)(most_bytes - least_bytes + 1));
        do {
            n++;
            bytes += each;
        } while (!unit_cost_add(&c, each));
        cpu += spend(&r, n, bytes);
        unit = unit_cost_measure(&c, cpu);
    }
    return unit;
}

Test(unit_cost, finds_the_cost_of_a_unit_when_bytes_are_few)
{
    uint64_t unit = after(100, 0, 200);
    cr_assert_gt(unit, 25000);
    cr_assert_lt(unit, 36000);
}

Test(unit_cost, does_not_take_the_cost_of_bytes_for_that_of_units)
{
    uint64_t unit = after(200, 0, 200000); /* bytes cost more than twice as much as units */
    cr_assert_lt(unit, 60000);
}

Test(unit_cost, is_bounded_when_units_are_all_alike_and_large)
{
    uint64_t unit = after(100, 1000000, 1000000);
    cr_assert_lt(unit, 100000);
}

Test(unit_cost, counts_only_while_units_are_open_and_shares_it_among_them)
{
    struct unit_cost c;
    uint64_t cpu = 0;
    unit_cost_init(&c, 50000, cpu);
    for (unsigned i = 0; i < 200; i++) {
        cpu += 10 * NS_PER_MS; /* processor time of other work */
        cr_assert(unit_cost_begin(&c));
        c.cpu_ns = cpu;
        cr_assert_not(unit_cost_begin(&c));
        cpu += 600000;
        cr_assert_not(unit_cost_end(&c, 0));
        cr_assert(unit_cost_end(&c, 0));
        unit_cost_measure(&c, cpu);
    }
    cr_assert_float_eq(c.unit_ns, 300000, 5000, "%f", c.unit_ns);
}

Test(unit_cost, the_first_unit_counts_before_it_has_ended)
{
    struct unit_cost c;
    unit_cost_init(&c, 50000, 0);
    cr_assert_eq(unit_cost_now(&c, 0, 0), 50000);
    cr_assert(unit_cost_begin(&c));
    uint64_t now = unit_cost_now(&c, 0, 400000);
    cr_assert(now > 100000 && now < 400000, "%llu", (unsigned long long)now);
    cr_assert_eq(c.n, 0, "nothing was changed");
    cr_assert_lt(unit_cost_now(&c, 200000, 400000), now, "bytes have their own cost");
}

Test(unit_cost, the_clock_of_the_thread_advances_with_its_work)
{
    uint64_t before = thread_cpu_ns(), sum = 0;
    for (uint64_t i = 0; thread_cpu_ns() == before; i++) sum += i * i;
    cr_assert_gt(thread_cpu_ns(), before);
}
