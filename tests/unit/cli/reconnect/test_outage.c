/* Outages: when a run tries again, and when it gives up. */
#include <criterion/criterion.h>

#include "cli/reconnect/outage.h"

#define LIMIT_S 300

static uint64_t at_s(double seconds)
{
    return (uint64_t)(seconds * 1e9) + NS_PER_S;
}

static struct outage begun(double limit_s)
{
    struct outage o;
    outage_init(&o, limit_s, 7);
    outage_note_accepted(&o);
    return o;
}

/* Reports failures of one job until the run gives up. Returns the time at which the run gives up. */
static uint64_t give_up_ns(struct outage *o, enum outage_cause cause)
{
    struct outage_tries tries = {0};
    uint64_t now = at_s(0);
    while (outage_note_failure(o, cause, &tries, -1, now, &now))
        if (cause == OUTAGE_CUT) outage_note_accepted(o);
    return now;
}

Test(outage, without_any_coordinator_the_run_ends_exactly_at_the_limit)
{
    for (enum outage_cause cause = OUTAGE_UNREACHED; cause <= OUTAGE_LOST; cause++) {
        struct outage o = begun(LIMIT_S);
        cr_assert_eq(give_up_ns(&o, cause), at_s(LIMIT_S));
    }
    struct outage o = begun(0);
    cr_assert_eq(give_up_ns(&o, OUTAGE_CUT), at_s(0));
}

Test(outage, a_coordinator_that_accepts_and_dies_again_and_again_is_given_up_after_the_limit)
{
    struct outage o = begun(LIMIT_S);
    uint64_t end = give_up_ns(&o, OUTAGE_CUT);
    cr_assert(end >= at_s(LIMIT_S) && end < at_s(LIMIT_S + 3));
}

Test(outage, long_items_survive_a_few_cuts_that_are_far_apart)
{
    struct outage o = begun(LIMIT_S);
    struct outage_tries tries = {0};
    uint64_t retry;
    for (int i = 0; i < 4; i++) {
        cr_assert(outage_note_failure(&o, OUTAGE_CUT, &tries, -1, at_s(1000 * i), &retry));
        outage_note_accepted(&o);
    }
    cr_assert_not(outage_note_failure(&o, OUTAGE_CUT, &tries, -1, at_s(4000), &retry));
}

Test(outage, a_new_answer_ends_it)
{
    struct outage o = begun(LIMIT_S);
    struct outage_tries tries = {0};
    uint64_t retry;
    cr_assert(outage_note_failure(&o, OUTAGE_UNREACHED, &tries, -1, at_s(0), &retry));
    outage_note_answer(&o);
    cr_assert(outage_note_failure(&o, OUTAGE_UNREACHED, &tries, -1, at_s(299), &retry));
    cr_assert(outage_note_failure(&o, OUTAGE_UNREACHED, &tries, -1, at_s(598.99), &retry));
    cr_assert_eq(retry, at_s(599));
    cr_assert_not(outage_note_failure(&o, OUTAGE_UNREACHED, &tries, -1, at_s(599), &retry));
}

Test(outage, waits_grow_have_jitter_and_keep_to_retry_after)
{
    struct outage o = begun(LIMIT_S), other = begun(LIMIT_S);
    bool differs = false;
    other.random.state++;
    for (unsigned i = 0; i < 100; i++) {
        uint64_t most = i < 6 ? 50 * NS_PER_MS << i : 2 * NS_PER_S, wait = outage_backoff_ns(&o, i);
        cr_assert(wait >= most / 2 && wait <= most);
        differs = differs || wait != outage_backoff_ns(&other, i);
    }
    cr_assert(differs);
    struct outage_tries tries = {0};
    uint64_t retry;
    cr_assert(outage_note_failure(&o, OUTAGE_FULL, &tries, 3, at_s(0), &retry));
    cr_assert(retry >= at_s(3) && retry < at_s(3.1));
    cr_assert(outage_note_failure(&o, OUTAGE_FULL, &tries, 1e300, at_s(0), &retry));
    cr_assert(retry < at_s(10.1));
}

Test(outage, before_any_job_was_accepted_little_is_tried)
{
    struct outage o;
    struct outage_tries tries = {0};
    uint64_t retry;
    outage_init(&o, LIMIT_S, 7);
    cr_assert_not(outage_note_failure(&o, OUTAGE_UNREACHED, &tries, -1, at_s(0), &retry));
    outage_init(&o, LIMIT_S, 7);
    cr_assert_eq(outage_patience_ns(&o), 3 * NS_PER_S);
    cr_assert_lt(give_up_ns(&o, OUTAGE_LOST), at_s(3));
    outage_init(&o, LIMIT_S, 7);
    cr_assert_eq(give_up_ns(&o, OUTAGE_FULL), at_s(LIMIT_S));
    outage_init(&o, 2, 7);
    cr_assert_eq(outage_patience_ns(&o), 2 * NS_PER_S);
    outage_init(&o, 0, 7);
    cr_assert_eq(give_up_ns(&o, OUTAGE_FULL), at_s(60));
}
