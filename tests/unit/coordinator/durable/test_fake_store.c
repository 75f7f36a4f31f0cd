/* The store in memory follows those rules of store.h on which tests depend. */
#include <criterion/criterion.h>

#include "unit/coordinator/durable/fake_store.h"
#include "unit/leaks.h"

static enum store_status last;
static struct stored_job found;

static void keep(struct store_call *c)
{
    last = c->status;
    stored_job_release(&found);
    found = c->found;
    c->found = (struct stored_job){0};
    store_call_free(c);
}

static struct store_call *call_for(enum store_op op, const char *id, uint64_t fence)
{
    struct store_call *c = store_call_new(op, keep, NULL);
    snprintf(c->job.id, sizeof c->job.id, "%s", id);
    c->job.fence = fence;
    return c;
}

static enum store_status make(struct fake_store *s, struct store_call *c)
{
    store_start(&s->store, c);
    fake_store_run(s);
    return last;
}

static void over(struct fake_store *s)
{
    stored_job_release(&found);
    fake_store_free(s);
    assert_no_leaks();
}

Test(fake_store, a_job_goes_from_upload_to_its_end)
{
    struct fake_store *s = fake_store_new(NULL);
    cr_assert_eq(make(s, call_for(STORE_ADD_JOB, "a", 0)), STORE_OK);
    cr_assert_eq(make(s, call_for(STORE_CLAIM, "", 0)), STORE_NOT_FOUND);
    struct store_call *accept = call_for(STORE_ACCEPT, "a", 0);
    accept->job.task = xstrdup("echo");
    accept->job.items = 3;
    cr_assert_eq(make(s, accept), STORE_OK);
    cr_assert_eq(make(s, call_for(STORE_CLAIM, "", 0)), STORE_OK);
    cr_assert_str_eq(found.id, "a");
    cr_assert_eq(found.fence, 1);
    struct store_call *end = call_for(STORE_END, "a", 1);
    end->job.state = STORED_PARTIAL;
    end->job.counts = (struct stored_counts){.succeeded = 2, .failed = 1};
    cr_assert_eq(make(s, end), STORE_OK);
    cr_assert_eq(make(s, call_for(STORE_REDRIVE, "a", 0)), STORE_OK);
    cr_assert_eq(found.state, STORED_PENDING);
    cr_assert_eq(make(s, call_for(STORE_WANT_CANCEL, "a", 0)), STORE_OK);
    cr_assert_eq(found.state, STORED_CANCELLED);
    cr_assert_eq(found.counts.cancelled, 1);
    cr_assert_eq(make(s, call_for(STORE_REMOVE, "a", 0)), STORE_OK);
    cr_assert_eq(make(s, call_for(STORE_READ_JOB, "a", 0)), STORE_NOT_FOUND);
    over(s);
}

Test(fake_store, a_job_whose_lease_has_ended_is_claimed_again_and_its_old_runner_is_fenced)
{
    struct fake_store *s = fake_store_new(NULL);
    fake_store_add_job(s, "a", STORED_PENDING, 1);
    cr_assert_eq(make(s, call_for(STORE_CLAIM, "", 0)), STORE_OK);
    s->now_ms++;
    cr_assert_eq(make(s, call_for(STORE_CLAIM, "", 0)), STORE_OK);
    cr_assert_eq(found.fence, 2);
    cr_assert_eq(make(s, call_for(STORE_RENEW, "a", 1)), STORE_FENCED);
    cr_assert_eq(make(s, call_for(STORE_RENEW, "a", 2)), STORE_OK);
    over(s);
}

Test(fake_store, faults_are_given_as_often_as_the_test_wants)
{
    struct fake_store *s = fake_store_new(NULL);
    fake_store_add_job(s, "a", STORED_PENDING, 1);
    fake_store_fail(s, STORE_READ_JOB, STORE_BROKEN, 1);
    cr_assert_eq(make(s, call_for(STORE_READ_JOB, "a", 0)), STORE_BROKEN);
    cr_assert_eq(make(s, call_for(STORE_READ_JOB, "a", 0)), STORE_OK);
    s->faults[STORE_CLAIM] = (struct fake_fault){.status = STORE_AWAY, .times = 1, .lost = true};
    cr_assert_eq(make(s, call_for(STORE_CLAIM, "", 0)), STORE_AWAY);
    cr_assert_eq(fake_store_find(s, "a")->job.state, STORED_RUNNING);
    s->away = true;
    cr_assert_eq(make(s, call_for(STORE_READ_JOB, "a", 0)), STORE_AWAY);
    over(s);
}

static void count_closed(void *data)
{
    ++*(unsigned *)data;
}

Test(fake_store, with_a_loop_calls_end_by_themselves_and_never_at_once)
{
    uv_loop_t loop;
    unsigned closed = 0;
    uv_loop_init(&loop);
    struct fake_store *s = fake_store_new(&loop);
    fake_store_add_job(s, "a", STORED_PENDING, 1);
    last = STORE_BROKEN;
    store_start(&s->store, call_for(STORE_READ_JOB, "a", 0));
    cr_assert_eq(last, STORE_BROKEN);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(last, STORE_OK);
    store_start(&s->store, call_for(STORE_REMOVE, "b", 0));
    store_close(&s->store, count_closed, &closed);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(closed, 1);
    cr_assert_eq(last, STORE_NOT_FOUND);
    cr_assert_eq(uv_loop_close(&loop), 0);
    stored_job_release(&found);
    assert_no_leaks();
}
