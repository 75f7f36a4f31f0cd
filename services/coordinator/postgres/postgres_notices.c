/* The calls about notices. A notice reports the end of a job to a URL. A trigger adds the notices: see
 * postgres_schema.c. */
#include "coordinator/postgres/postgres_internal.h"

static void read_row(const struct postgres_query *q, struct stored_notice *n)
{
    snprintf(n->id, sizeof n->id, "%s", PQgetvalue(q->result, 0, 0));
    n->attempts = (unsigned)postgres_int(q, 0, 1);
    n->url = postgres_text(q, 0, 2);
    snprintf(n->job, sizeof n->job, "%s", PQgetvalue(q->result, 0, 3));
    if (!stored_state_parse(PQgetvalue(q->result, 0, 4), &n->state)) n->state = STORED_FAILED;
    n->items = (uint64_t)postgres_int(q, 0, 5);
    n->counts.succeeded = (uint64_t)postgres_int(q, 0, 6);
    n->counts.failed = (uint64_t)postgres_int(q, 0, 7);
    n->counts.cancelled = (uint64_t)postgres_int(q, 0, 8);
    n->counts.retried = (uint64_t)postgres_int(q, 0, 9);
    n->counts.hedged = (uint64_t)postgres_int(q, 0, 10);
    n->ended_ms = postgres_int(q, 0, 11);
}

enum store_status postgres_take_notice(struct postgres_db *d, struct store_call *c)
{
    struct postgres_query q = postgres_query(d, PG_TAKE_NOTICE);
    postgres_bind_int(&q, (int64_t)c->lease_ms);
    bool is_there = postgres_run(&q);
    if (is_there) read_row(&q, &c->notice);
    postgres_end(&q);
    return is_there ? STORE_OK : store_refuse(c, STORE_NOT_FOUND, "no notice is due");
}

static void bind_attempt(struct postgres_query *q, const struct store_call *c)
{
    postgres_bind_text(q, c->notice_id);
    postgres_bind_int(q, c->attempts);
    postgres_bind_text(q, c->notice_failure[0] ? c->notice_failure : NULL);
}

static enum store_status run(struct postgres_query *q, struct store_call *c)
{
    bool is_there = postgres_run(q);
    postgres_end(q);
    return is_there ? STORE_OK : store_refuse(c, STORE_NOT_FOUND, "notice %s was taken again", c->notice_id);
}

enum store_status postgres_delay_notice(struct postgres_db *d, struct store_call *c)
{
    struct postgres_query q = postgres_query(d, PG_DELAY_NOTICE);
    bind_attempt(&q, c);
    postgres_bind_int(&q, (int64_t)c->lease_ms);
    return run(&q, c);
}

enum store_status postgres_remove_notice(struct postgres_db *d, struct store_call *c)
{
    struct postgres_query q = postgres_query(d, PG_REMOVE_NOTICE);
    bind_attempt(&q, c);
    return run(&q, c);
}
