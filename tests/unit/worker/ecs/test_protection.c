/* When the worker requests protection from scale-in. The tests set the times, and use no agent and no clock. */
#include <criterion/criterion.h>

#include "unit/leaks.h"
#include "worker/ecs/protection.h"

#define S     NS_PER_S
#define START (1000 * S)
#define LASTS (600 * S)
#define IDLE  (20 * S)

static struct protection p;

static void begin(void)
{
    protection_init(&p, LASTS, IDLE, 7);
}

/* Checks that no request is due now. Returns the time at which the next request is due if nothing else happens before
 * then. */
static uint64_t quiet(uint64_t now)
{
    uint64_t next = 0;
    cr_assert_eq(protection_next(&p, now, &next), PROTECTION_NONE);
    return next;
}

static void due(enum protection_request request, uint64_t now)
{
    uint64_t next;
    cr_assert_eq(protection_next(&p, now, &next), request);
    cr_assert_eq(next, UINT64_MAX);
}

static void due_and_done(enum protection_request request, uint64_t now)
{
    due(request, now);
    protection_answered(&p, PROTECTION_DONE, now);
}

Test(protection, it_is_requested_at_once_and_given_up_after_some_time_without_work)
{
    begin();
    cr_assert_eq(quiet(START), UINT64_MAX);
    protection_work(&p, true, START);
    due_and_done(PROTECTION_ON, START);
    cr_assert(protection_certain(&p, START));
    protection_work(&p, false, START + 5 * S);
    cr_assert_eq(quiet(START + 5 * S), START + 5 * S + IDLE);
    quiet(START + 5 * S + IDLE - 1);
    due_and_done(PROTECTION_OFF, START + 5 * S + IDLE);
    cr_assert_not(protection_certain(&p, START + 5 * S + IDLE));
    cr_assert_eq(quiet(START + 100 * S), UINT64_MAX);
}

Test(protection, pauses_between_chunks_cause_no_request)
{
    begin();
    protection_work(&p, true, START);
    due_and_done(PROTECTION_ON, START);
    for (uint64_t now = START; now < START + 150 * S; now += 15 * S) {
        protection_work(&p, false, now);
        quiet(now);
        quiet(now + 14 * S);
        protection_work(&p, true, now + 14 * S);
        quiet(now + 14 * S);
    }
}

Test(protection, it_is_renewed_after_a_third_as_long_as_there_is_work)
{
    begin();
    protection_work(&p, true, START);
    due_and_done(PROTECTION_ON, START);
    for (unsigned i = 1; i <= 5; i++) {
        uint64_t renewal = START + i * LASTS / 3;
        cr_assert_eq(quiet(renewal - 1), renewal);
        due_and_done(PROTECTION_ON, renewal);
    }
}

Test(protection, protection_that_has_expired_is_not_given_up)
{
    protection_init(&p, 10 * S, IDLE, 7);
    protection_work(&p, true, START);
    due_and_done(PROTECTION_ON, START);
    protection_work(&p, false, START + S);
    quiet(START + S);
    cr_assert_not(protection_certain(&p, START + 10 * S));
    cr_assert_eq(quiet(START + S + IDLE), UINT64_MAX);
}

Test(protection, there_is_one_request_at_a_time)
{
    begin();
    protection_work(&p, true, START);
    due(PROTECTION_ON, START);
    cr_assert_eq(quiet(START + 5 * S), UINT64_MAX);
    protection_work(&p, false, START + 6 * S);
    cr_assert_eq(quiet(START + 60 * S), UINT64_MAX);
    protection_answered(&p, PROTECTION_DONE, START + 60 * S);
    due(PROTECTION_OFF, START + 60 * S);
}

Test(protection, requests_are_not_closer_than_the_least_pause)
{
    protection_init(&p, LASTS, 0, 7);
    protection_work(&p, true, START);
    due_and_done(PROTECTION_ON, START);
    protection_work(&p, false, START + 1);
    cr_assert_eq(quiet(START + 1), START + PROTECTION_PACE_NS);
    due_and_done(PROTECTION_OFF, START + PROTECTION_PACE_NS);
    protection_work(&p, true, START + PROTECTION_PACE_NS);
    cr_assert_eq(quiet(START + PROTECTION_PACE_NS), START + 2 * PROTECTION_PACE_NS);
}

Test(protection, failures_are_retried_after_growing_pauses_of_up_to_a_minute)
{
    begin();
    protection_work(&p, true, START);
    uint64_t now = START, most = PROTECTION_RETRY_NS;
    for (unsigned i = 0; i < 12; i++) {
        due(PROTECTION_ON, now);
        protection_answered(&p, PROTECTION_REFUSED, now);
        cr_assert_not(protection_certain(&p, now));
        uint64_t next = quiet(now);
        cr_assert_geq(next, now + (most / 2 > PROTECTION_PACE_NS ? most / 2 : PROTECTION_PACE_NS));
        cr_assert_leq(next, now + most);
        now = next;
        if (most < PROTECTION_RETRY_MAX_NS) most *= 2;
        if (most > PROTECTION_RETRY_MAX_NS) most = PROTECTION_RETRY_MAX_NS;
    }
    due_and_done(PROTECTION_ON, now);
    cr_assert(protection_certain(&p, now));
    cr_assert_eq(quiet(now), now + LASTS / 3, "the earlier failures are forgotten");
}

Test(protection, a_renewal_that_fails_is_retried_before_the_protection_expires)
{
    begin();
    protection_work(&p, true, START);
    due_and_done(PROTECTION_ON, START);
    uint64_t now = START + LASTS / 3;
    due(PROTECTION_ON, now);
    protection_answered(&p, PROTECTION_REFUSED, now);
    cr_assert(protection_certain(&p, now));
    uint64_t retry = quiet(now);
    cr_assert_leq(retry, now + PROTECTION_RETRY_NS);
    due_and_done(PROTECTION_ON, retry);
    cr_assert_eq(quiet(retry), retry + LASTS / 3);
}

Test(protection, after_a_request_without_an_answer_protection_is_given_up_but_not_relied_on)
{
    begin();
    protection_work(&p, true, START);
    due(PROTECTION_ON, START);
    protection_answered(&p, PROTECTION_UNKNOWN, START + 10 * S);
    cr_assert_not(protection_certain(&p, START + 10 * S));
    protection_work(&p, false, START + 10 * S);
    quiet(START + 10 * S);
    due(PROTECTION_OFF, START + 10 * S + IDLE);
    protection_answered(&p, PROTECTION_UNKNOWN, START + 40 * S);
    uint64_t retry = quiet(START + 40 * S);
    cr_assert_leq(retry, START + 42 * S);
    due_and_done(PROTECTION_OFF, retry);
    cr_assert_eq(quiet(retry), UINT64_MAX);
}

Test(protection, work_is_protected_again_if_giving_up_had_no_answer)
{
    begin();
    protection_work(&p, true, START);
    due_and_done(PROTECTION_ON, START);
    protection_work(&p, false, START);
    due(PROTECTION_OFF, START + IDLE);
    protection_work(&p, true, START + 25 * S);
    protection_answered(&p, PROTECTION_UNKNOWN, START + 30 * S);
    cr_assert_not(protection_certain(&p, START + 30 * S));
    due_and_done(PROTECTION_ON, quiet(START + 30 * S));
}

Test(protection, protection_that_was_refused_is_not_given_up)
{
    begin();
    protection_work(&p, true, START);
    due(PROTECTION_ON, START);
    protection_answered(&p, PROTECTION_REFUSED, START);
    protection_work(&p, false, START + S);
    cr_assert_eq(quiet(START + IDLE + 2 * S), UINT64_MAX);
}

Test(protection, leaving_gives_protection_up_at_once_with_one_request)
{
    begin();
    protection_work(&p, true, START);
    due_and_done(PROTECTION_ON, START);
    protection_leave(&p);
    due(PROTECTION_OFF, START + 1);
    protection_answered(&p, PROTECTION_REFUSED, START + 1);
    cr_assert_eq(quiet(START + 100 * S), UINT64_MAX, "work goes on, but nothing is protected again");
}

Test(protection, leaving_during_a_request_gives_up_what_it_protects)
{
    begin();
    protection_work(&p, true, START);
    due(PROTECTION_ON, START);
    protection_leave(&p);
    cr_assert_eq(quiet(START + 1), UINT64_MAX);
    protection_answered(&p, PROTECTION_DONE, START + S / 2);
    due_and_done(PROTECTION_OFF, START + S / 2);
    cr_assert_eq(quiet(START + S), UINT64_MAX);
}

Test(protection, leaving_without_protection_causes_no_request)
{
    begin();
    protection_leave(&p);
    cr_assert_eq(quiet(START), UINT64_MAX);
    protection_work(&p, true, START);
    cr_assert_eq(quiet(START), UINT64_MAX);
}
