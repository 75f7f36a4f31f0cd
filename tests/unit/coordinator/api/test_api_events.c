/* The events of a durable job: which events are sent, how a client resumes, and when the stream ends. */
#include "coordinator/api/api_events.h"

#include "unit/coordinator/api/api_harness.h"

/* Adds a job and requests its events. `last_id` is the id of the last event that the client knows. */
static struct fake_job *begin(struct desk *d, enum stored_state state, const char *last_id)
{
    desk_init(d);
    d->x.last_event_id = last_id;
    struct fake_job *j = fake_store_add_job(d->store, ID, state, 9);
    api_watch_events(&d->x, &d->c);
    return j;
}

/* Moves the clock by `ms`, in steps of 100 ms. Returns whether the stream has ended. */
static bool pass(struct desk *d, unsigned ms)
{
    fake_store_run(d->store);
    for (unsigned i = 0; i < ms; i += 100) {
        fake_clock_pass(100);
        tick(d, 0);
    }
    return exchange_pull(&d->x, 512);
}

static unsigned count(struct desk *d, const char *text)
{
    unsigned n = 0;
    for (const char *at = buf_cstr(&d->x.answer); (at = strstr(at, text)); at++) n++;
    return n;
}

Test(api_events, each_state_and_the_progress_are_sent_until_the_end)
{
    struct desk d;
    struct fake_job *j = begin(&d, STORED_PENDING, NULL);
    cr_assert_not(pass(&d, 0));
    cr_assert_eq(count(&d, "event: status\nid: 0-0-pending-0\ndata: {\"id\":\"" ID "\""), 1);
    j->job.state = STORED_RUNNING;
    j->job.fence = 1;
    job_watches_poke(&d.c.watches, ID);
    cr_assert_not(pass(&d, 0));
    cr_assert_eq(count(&d, "event: status\nid: 0-1-running-0\n"), 1);
    for (unsigned i = 1; i < 9; i++) {
        j->job.counts.succeeded = i;
        job_watches_poke(&d.c.watches, ID);
        cr_assert_not(pass(&d, 100));
    }
    cr_assert_leq(count(&d, "event: progress\n"), 1, "at most one progress event is sent in a second");
    cr_assert_not(pass(&d, 2000));
    cr_assert_eq(count(&d, "id: 0-1-running-8\n"), 1);
    j->job.state = STORED_SUCCEEDED;
    j->job.counts.succeeded = 9;
    job_watches_poke(&d.c.watches, ID);
    cr_assert(pass(&d, 0));
    cr_assert_eq(count(&d, "event: end\nid: 0-1-succeeded-9\n"), 1);
    desk_over(&d);
}

Test(api_events, a_client_resumes_with_what_it_does_not_know)
{
    struct desk d;
    begin(&d, STORED_RUNNING, "0-0-running-0");
    cr_assert_not(pass(&d, 2000));
    cr_assert_eq(count(&d, "event: "), 0, "%s", buf_cstr(&d.x.answer));
    desk_over(&d);
    begin(&d, STORED_RUNNING, "0-0-pending-0");
    cr_assert_not(pass(&d, 0));
    cr_assert_eq(count(&d, "event: status\nid: 0-0-running-0\n"), 1);
    desk_over(&d);
    begin(&d, STORED_PARTIAL, "0-0-running-0");
    cr_assert(pass(&d, 0));
    cr_assert_eq(count(&d, "event: end\n"), 1);
    desk_over(&d);
    begin(&d, STORED_PARTIAL, "0-0-partial-0");
    pass(&d, 0);
    cr_assert_eq(d.x.status, 204);
    desk_over(&d);
}

Test(api_events, a_quiet_stream_gets_heartbeats_and_the_store_may_be_away)
{
    struct desk d;
    struct fake_job *j = begin(&d, STORED_RUNNING, NULL);
    cr_assert_not(pass(&d, 0));
    d.store->away = true;
    cr_assert_not(pass(&d, 16000));
    cr_assert_eq(count(&d, ": heartbeat\n\n"), 1);
    d.store->away = false;
    j->job.state = STORED_CANCELLED;
    cr_assert(pass(&d, 1000));
    cr_assert_eq(count(&d, "event: end\n"), 1);
    desk_over(&d);
}

Test(api_events, a_drain_and_a_removal_end_the_stream_and_a_client_may_hang_up)
{
    for (unsigned how = 0; how < 3; how++) {
        struct desk d;
        begin(&d, STORED_RUNNING, NULL);
        cr_assert_not(pass(&d, 0));
        if (how == 0) job_watches_drain(&d.c.watches);
        if (how == 1) fake_store_fail(d.store, STORE_READ_JOB, STORE_NOT_FOUND, 1);
        if (how == 2) job_watches_poke(&d.c.watches, ID);
        if (how == 2)
            exchange_close(&d.x, HTTP_CLOSED_HANG_UP);
        else
            cr_assert(pass(&d, how == 1 ? 1000 : 0));
        if (how < 2) cr_assert_eq(count(&d, "event: end\n"), 0);
        desk_over(&d);
    }
}

Test(api_events, what_the_store_says_first_is_the_status_of_the_answer)
{
    static const struct {
        enum store_status store;
        int http;
    } rows[] = {{STORE_NOT_FOUND, 404}, {STORE_AWAY, 503}, {STORE_UNFIT, 500}, {STORE_BROKEN, 500}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct desk d;
        begin(&d, STORED_RUNNING, NULL);
        fake_store_fail(d.store, STORE_READ_JOB, rows[i].store, 1);
        fake_store_run(d.store);
        cr_assert_eq(d.x.status, rows[i].http);
        desk_over(&d);
    }
}
