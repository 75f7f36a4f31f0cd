/* An answer has the names of its chunk and its attempt. These names decide to which attempt the answer belongs. */
#include "unit/coordinator/dispatch/post.h"

/* The names of the chunk and the attempt in an answer, and whether the call used a kept connection. Also whether the
 * dispatcher must accept the answer, and whether it must close the connection. */
struct naming {
    const char *chunk, *attempt; /* "": as in the request; NULL: the header is missing */
    bool kept;
    bool accepted, closed;
};

static void add_names(struct http_call *call, const char *chunk, const char *attempt)
{
    size_t at = 0;
    if (chunk) {
        call->answered[at++] = HEADER_CHUNK;
        call->answered[at++] = *chunk ? chunk : call_sent_header(call, HEADER_CHUNK);
    }
    if (attempt) {
        call->answered[at++] = HEADER_ATTEMPT;
        call->answered[at++] = *attempt ? attempt : call_sent_header(call, HEADER_ATTEMPT);
    }
}

static void check_naming(const struct naming *n, unsigned number)
{
    struct post p;
    post_init(&p, "static://worker:8081");
    struct worker_endpoint *e = p.fleet.endpoints.list->owner;
    e->names_answers = true; /* an earlier answer named its chunk */
    struct http_call *call = post_job(&p, FOUR);
    call->kept_connection = n->kept;
    add_names(call, n->chunk, n->attempt);
    call_head(call, 200);
    cr_assert_eq(call->close_after, n->closed, "case %u", number);
    cr_assert_eq(call_body(call, "{\"value\":0}\n"), n->accepted, "case %u", number);
    call_end(call, n->accepted ? HTTP_CALL_LOST : HTTP_CALL_REFUSED_BY_US, 200, false);
    cr_assert_eq(*p.dispatcher.attempts[SCHED_END_PROTOCOL], n->accepted ? 0 : 1, "case %u", number);
    post_over(&p);
}

Test(answer_names, an_answer_is_taken_only_for_the_attempt_that_it_names)
{
    static const struct naming cases[] = {
        {.chunk = "", .attempt = "", .kept = true, .accepted = true},
        {.chunk = "", .attempt = "", .accepted = true},
        {.chunk = "x/0", .attempt = "", .kept = true, .closed = true},
        {.chunk = "x/0", .attempt = "", .closed = true},
        {.chunk = "", .attempt = "2", .kept = true, .closed = true},
        {.chunk = "", .kept = true, .closed = true},
        {.attempt = "", .kept = true, .closed = true},
        {.kept = true, .closed = true},
        {.accepted = true, .closed = true}, /* on a new connection, the worker may be of an older version */
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) check_naming(&cases[i], i);
}

/* An answer that refuses a chunk: its status, the names of chunk and attempt in it, and how the attempt ends. */
struct refusal {
    int status;
    const char *chunk, *attempt; /* "": as in the request; NULL: the header is missing */
    bool kept, once, balancer;
    enum sched_end end;
};

static void check_refusal(const struct refusal *r, unsigned number)
{
    struct post p;
    post_init_with(&p, r->balancer ? "http://worker:8081" : "static://worker:8081",
                   r->once ? "{\"tasks\":[{\"name\":\"echo\",\"idempotent\":false}]}"
                           : "{\"tasks\":[{\"name\":\"echo\"}]}");
    struct http_call *call = post_job(&p, FOUR);
    call->kept_connection = r->kept;
    add_names(call, r->chunk, r->attempt);
    call_head(call, r->status);
    call_end(call, HTTP_CALL_OK, r->status, r->status == 503);
    for (int how = 0; how < SCHED_END_COUNT; how++)
        cr_expect_eq(*p.dispatcher.attempts[how], how == (int)r->end, "case %u: %s", number,
                     sched_end_name((enum sched_end)how));
    post_over(&p);
}

Test(answer_names, a_refusal_settles_only_the_attempt_that_it_certainly_answers)
{
    static const int statuses[] = {401, 403, 404, 409, 422, 426, 429, 503, 507};
    for (unsigned i = 0; i < ARRAY_SIZE(statuses); i++) {
        check_refusal(&(struct refusal){statuses[i], .kept = true, .end = SCHED_END_PROTOCOL}, 100 + i);
        check_refusal(&(struct refusal){statuses[i], "x/0", "", .kept = true, .end = SCHED_END_PROTOCOL}, 200 + i);
    }
    static const struct refusal cases[] = {
        {503, "", "", .kept = true, .end = SCHED_END_UNAVAILABLE},
        {503, .end = SCHED_END_UNAVAILABLE},
        {429, "", "", .kept = true, .end = SCHED_END_BUSY},
        {503, "none", .kept = true, .end = SCHED_END_UNAVAILABLE}, /* sent on idle connections when a worker ends */
        {429, "none", .kept = true, .end = SCHED_END_PROTOCOL},
        {503, .kept = true, .balancer = true, .end = SCHED_END_UNAVAILABLE}, /* sent by the balancer itself */
        {503, .kept = true, .balancer = true, .once = true, .end = SCHED_END_PROTOCOL},
        {503, .balancer = true, .once = true, .end = SCHED_END_UNAVAILABLE},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) check_refusal(&cases[i], i);
}

Test(answer_names, a_worker_gets_a_new_connection_for_each_chunk_until_it_names_an_answer)
{
    struct post p;
    post_init(&p, "static://worker:8081");
    struct http_call *call = post_job(&p, FOUR);
    cr_assert(call->options.new_connection);
    add_names(call, "", "");
    call_head(call, 429);
    call_end(call, HTTP_CALL_OK, 429, false);
    const struct worker_endpoint *e = p.fleet.endpoints.list->owner;
    cr_assert(e->names_answers && !call->close_after);
    post_over(&p);
}
