#include <criterion/criterion.h>
#include <stdio.h>

#include "coordinator/fleet/leases.h"
#include "unit/leaks.h"

#define SECOND NS_PER_S

static struct registration worker(const char *id, const char *address)
{
    struct registration r = {0};
    snprintf(r.worker, sizeof r.worker, "%s", id);
    snprintf(r.address, sizeof r.address, "%s", address);
    return r;
}

static enum lease_verdict come(struct leases *l, const char *id, const char *address, uint64_t now)
{
    struct registration r = worker(id, address);
    struct lease_terms terms;
    return leases_register(l, &r, now, &terms);
}

static enum lease_verdict leave(struct leases *l, const char *id, const char *address, uint64_t now)
{
    struct registration r = worker(id, address);
    struct lease_terms terms;
    r.leaving = true;
    return leases_register(l, &r, now, &terms);
}

/* Runs the timers of the leases from `from` to `to`, and returns how many leases expired. */
static unsigned pass(struct leases *l, uint64_t from, uint64_t to)
{
    struct registration ended;
    unsigned n = 0;
    for (uint64_t now = from; now <= to; now += LEASES_TICK_MS * NS_PER_MS)
        while (leases_take_ended(l, now, &ended)) n++;
    return n;
}

Test(leases, a_worker_that_renews_stays_and_one_that_does_not_is_given_up)
{
    struct leases l = {0};
    struct registration ended;
    cr_assert_eq(come(&l, "a", "10.0.0.1:1", 1), LEASE_NEW);
    cr_assert_eq(come(&l, "b", "10.0.0.2:1", 1), LEASE_NEW);
    cr_assert_eq(pass(&l, 1, 5 * SECOND), 0);
    cr_assert_eq(come(&l, "a", "10.0.0.1:1", 5 * SECOND), LEASE_RENEWED);
    cr_assert_eq(pass(&l, 5 * SECOND, 6 * SECOND), 0);
    cr_assert(leases_take_ended(&l, 6 * SECOND + 2, &ended));
    cr_assert_str_eq(ended.address, "10.0.0.2:1");
    cr_assert_str_eq(ended.worker, "b");
    cr_assert_not(leases_take_ended(&l, 6 * SECOND + 2, &ended));
    cr_assert_eq(l.held, 1);
    cr_assert_not(leases_bar(&l, "10.0.0.2:1"));
    leases_release(&l);
    assert_no_leaks();
}

Test(leases, an_owner_that_was_stopped_gives_up_nobody)
{
    struct leases l = {0};
    cr_assert_eq(come(&l, "a", "10.0.0.1:1", 1), LEASE_NEW);
    cr_assert_eq(come(&l, "b", "10.0.0.2:1", 1), LEASE_NEW);
    cr_assert_eq(pass(&l, 1, 2 * SECOND), 0);
    /* The process was stopped for an hour. When the process continues, either the tick or a renewal is handled
     * first. */
    cr_assert_eq(pass(&l, 3602 * SECOND, 3604 * SECOND), 0);
    cr_assert_eq(come(&l, "a", "10.0.0.1:1", 3604 * SECOND), LEASE_RENEWED);
    cr_assert_eq(come(&l, "a", "10.0.0.1:1", 7204 * SECOND), LEASE_RENEWED);
    cr_assert_eq(l.held, 2);
    cr_assert_eq(pass(&l, 7204 * SECOND, 7205 * SECOND), 0);
    cr_assert_eq(pass(&l, 7205 * SECOND, 7209 * SECOND), 1, "b has not renewed for 6 s of running time");
    leases_release(&l);
    assert_no_leaks();
}

Test(leases, a_goodbye_bars_the_address_until_somebody_registers_there)
{
    struct leases l = {0};
    cr_assert_eq(come(&l, "a", "10.0.0.1:1", 1), LEASE_NEW);
    cr_assert_eq(leave(&l, "a", "10.0.0.1:1", 2), LEASE_LEFT);
    cr_assert_eq(leave(&l, "a", "10.0.0.1:1", 3), LEASE_UNKNOWN);
    cr_assert(leases_bar(&l, "10.0.0.1:1"));
    cr_assert_eq(l.held, 0);
    cr_assert_null(leases_address_of(&l, "a"));
    cr_assert_eq(come(&l, "b", "10.0.0.1:1", 4), LEASE_NEW);
    cr_assert_not(leases_bar(&l, "10.0.0.1:1"));
    cr_assert_eq(l.held, 1);
    cr_assert_eq(leave(&l, "b", "10.0.0.1:1", 5), LEASE_LEFT);
    cr_assert_eq(pass(&l, 5, (LEASES_BAR_S + 1) * SECOND), 0, "a lifted bar does not count as an expired lease");
    cr_assert_not(leases_bar(&l, "10.0.0.1:1"));
    cr_assert_eq(l.by_address.n, 0);
    leases_release(&l);
    assert_no_leaks();
}

Test(leases, a_late_goodbye_does_not_end_the_lease_of_the_next_worker)
{
    struct leases l = {0};
    cr_assert_eq(come(&l, "a", "10.0.0.1:1", 1), LEASE_NEW);
    cr_assert_eq(come(&l, "b", "10.0.0.1:1", 2), LEASE_OTHER_WORKER);
    cr_assert_eq(leave(&l, "a", "10.0.0.1:1", 3), LEASE_UNKNOWN);
    cr_assert_eq(l.held, 1);
    cr_assert_str_eq(leases_address_of(&l, "b"), "10.0.0.1:1");
    leases_release(&l);
    assert_no_leaks();
}

Test(leases, an_id_has_one_address)
{
    struct leases l = {0};
    cr_assert_eq(come(&l, "a", "10.0.0.1:1", 1), LEASE_NEW);
    cr_assert_eq(come(&l, "a", "10.0.0.2:1", 2), LEASE_ELSEWHERE);
    cr_assert_eq(come(&l, "b", "10.0.0.2:1", 2), LEASE_NEW);
    cr_assert_eq(come(&l, "a", "10.0.0.2:1", 3), LEASE_ELSEWHERE);
    cr_assert_eq(leave(&l, "a", "10.0.0.1:1", 3), LEASE_LEFT);
    cr_assert_eq(come(&l, "a", "10.0.0.3:1", 4), LEASE_NEW);
    leases_release(&l);
    assert_no_leaks();
}

Test(leases, a_large_fleet_renews_no_faster_than_50_a_second_and_is_kept)
{
    struct leases l = {0};
    struct lease_terms terms = {0};
    enum { WORKERS = 1000 };
    for (unsigned i = 0; i < WORKERS; i++) {
        char id[20], address[40];
        snprintf(id, sizeof id, "w%u", i * 7919 % WORKERS);
        snprintf(address, sizeof address, "10.0.%u.%u:8081", i * 7919 % WORKERS / 250, i * 7919 % WORKERS % 250);
        struct registration r = worker(id, address);
        cr_assert_eq(leases_register(&l, &r, 1, &terms), LEASE_NEW);
    }
    cr_assert_eq(l.held, WORKERS);
    cr_assert_eq(terms.renew_s, WORKERS / LEASES_PER_S);
    cr_assert_eq(terms.lease_s, 3 * terms.renew_s);
    cr_assert_eq(l.by_address.n, WORKERS);
    cr_assert_str_eq(leases_address_of(&l, "w999"), "10.0.3.249:8081");
    cr_assert_eq(leave(&l, "w500", "10.0.2.0:8081", 2), LEASE_LEFT);
    cr_assert_eq(pass(&l, 2, 61 * SECOND), WORKERS - 1);
    leases_release(&l);
    assert_no_leaks();
}

Test(leases, each_registration_looks_at_a_few_leases_however_many_there_are)
{
    struct leases l = {0};
    struct lease_terms terms = {0};
    enum { WORKERS = 20000, TIMES = 3 };
    for (unsigned i = 0; i < TIMES * WORKERS; i++) {
        char id[20], address[40];
        snprintf(id, sizeof id, "w%u", i % WORKERS);
        snprintf(address, sizeof address, "10.0.%u.%u:8081", i % WORKERS / 250, i % WORKERS % 250);
        struct registration r = worker(id, address);
        cr_assert_eq(leases_register(&l, &r, 1, &terms), i < WORKERS ? LEASE_NEW : LEASE_RENEWED);
    }
    cr_assert_leq(l.by_address.steps + l.by_worker.steps, 12 * TIMES * WORKERS);
    cr_assert_eq(pass(&l, 2, 1300 * SECOND), WORKERS);
    cr_assert_eq(l.by_address.n + l.by_worker.n, 0);
    leases_release(&l);
    assert_no_leaks();
}
