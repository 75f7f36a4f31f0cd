/* Long answers, and many calls at the same time. */
#include "common/http_client/http_client_internal.h"
#include "unit/common/http_client/http_client_harness.h"

Test(http_client, a_big_body_goes_and_comes_unharmed)
{
    char *big = xmalloc(BIG);
    for (size_t i = 0; i < BIG; i++) big[i] = (char)(i * 2654435761u >> 13);
    struct heard h = {.body = big, .body_len = BIG};
    start(&h, "/echo");
    run_until(&h.ends, 1);
    cr_assert_eq(h.result.outcome, HTTP_CALL_OK, "%s", h.reason);
    cr_assert(h.answer.len == BIG && memcmp(h.answer.data, big, BIG) == 0);
    free(big);
    buf_release(&h.answer);
    tear_down();
}

Test(http_client, long_answers_are_read_in_turns_and_others_in_between)
{
    enum { COUNT = 4, FIRST_TURN = 64 * 1024, LATER_TURN = 192 * 1024 };
    struct heard big[COUNT] = {{0}}, h = {.body = "x", .body_len = 1};
    int ended = 0;
    for (int i = 0; i < COUNT; i++) {
        big[i] = (struct heard){.slow = true};
        start(&big[i], "/big");
    }
    while (ended < COUNT) {
        size_t before = 0, after = 0;
        for (int i = 0; i < COUNT; i++) before += big[i].answer.len;
        uv_run(&loop, UV_RUN_ONCE);
        ended = 0;
        for (int i = 0; i < COUNT; i++) ended += big[i].ends, after += big[i].answer.len;
        cr_assert_leq(after - before, COUNT * FIRST_TURN + LATER_TURN, "%zu bytes in one turn", after - before);
        if (after > BIG && !h.call) start(&h, "/echo");
        if (h.call && !h.ends) cr_assert_leq(after, 2 * BIG, "the short call waits for the long calls");
    }
    cr_assert_eq(h.result.outcome, HTTP_CALL_OK);
    for (int i = 0; i < COUNT; i++) {
        cr_assert_eq(big[i].result.outcome, HTTP_CALL_OK, "%s", big[i].reason);
        cr_assert_eq(big[i].answer.len, BIG);
        buf_release(&big[i].answer);
    }
    buf_release(&h.answer);
    tear_down();
}

/* A peer can send many bytes that do not belong to the body. If these bytes did not count towards the limit of a turn,
 * the call would keep reading in the same turn for as long as bytes arrived. */
Test(http_client, the_lines_between_chunks_count_for_a_turn_as_well)
{
    enum { CHUNKS = 1024, EXTENSION = 2048 };
    struct buf text = {0};
    struct heard h = {.body = "x", .body_len = 1};
    buf_add_str(&text, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < CHUNKS; i++) buf_addf(&text, "1;%0*d\r\ny\r\n", EXTENSION, 0);
    buf_add_str(&text, "0\r\n\r\n");
    start(&h, "/held");
    while (requests == 0) uv_run(&loop, UV_RUN_ONCE);
    say_bytes(held, text.data, text.len);
    while (!h.ends) {
        if (h.call->is_plain && h.answer.len > CHUNKS / 2) cr_assert_neq(h.call->flow, CALL_FLOW_SHORT);
        uv_run(&loop, UV_RUN_ONCE);
    }
    cr_assert_eq(h.result.outcome, HTTP_CALL_OK, "%s", h.reason);
    cr_assert_eq(h.answer.len, CHUNKS);
    buf_release(&text);
    buf_release(&h.answer);
    tear_down();
}

Test(http_client, a_long_answer_that_waits_for_its_turn_can_be_cancelled)
{
    enum { COUNT = 4 };
    struct heard big[COUNT] = {{0}};
    for (int i = 0; i < COUNT; i++) {
        big[i] = (struct heard){.slow = true};
        start(&big[i], "/big");
    }
    while (big[0].answer.len == 0 || big[COUNT - 1].answer.len == 0) uv_run(&loop, UV_RUN_ONCE);
    for (int i = 0; i < COUNT; i += 2) http_call_cancel(big[i].call);
    for (int i = 1; i < COUNT; i += 2) run_until(&big[i].ends, 1);
    for (int i = 0; i < COUNT; i++) {
        cr_assert_eq(big[i].ends, i % 2);
        if (i % 2) cr_assert_eq(big[i].answer.len, BIG);
        buf_release(&big[i].answer);
    }
    tear_down();
}

Test(http_client, many_calls_at_once_all_end)
{
    enum { COUNT = 300 };
    static struct heard all[COUNT];
    int ended = 0;
    for (int i = 0; i < COUNT; i++) {
        all[i] = (struct heard){.body = "0123456789", .body_len = (size_t)(i % 10) + 1};
        start(&all[i], i % 7 == 3 ? "/lost" : "/echo");
    }
    while (ended < COUNT) {
        uv_run(&loop, UV_RUN_ONCE);
        ended = 0;
        for (int i = 0; i < COUNT; i++) ended += all[i].ends;
    }
    for (int i = 0; i < COUNT; i++) {
        cr_assert_eq(all[i].result.outcome, i % 7 == 3 ? HTTP_CALL_LOST : HTTP_CALL_OK, "%s", all[i].reason);
        buf_release(&all[i].answer);
    }
    cr_assert_eq(requests, COUNT);
    tear_down();
}

Test(http_client, timeouts_and_hang_ups_in_one_turn_name_no_freed_socket)
{
    enum { COUNT = 100 };
    static struct heard all[COUNT];
    int ended = 0;
    for (int i = 0; i < COUNT; i++) {
        all[i] = (struct heard){.body = "x", .body_len = 1};
        start_options(&all[i], (struct http_call_options){.silence_timeout_ms = (uint64_t)(5 + i % 3)},
                      i % 2 ? "/silent" : "/half");
    }
    while (ended < COUNT) {
        uv_run(&loop, UV_RUN_ONCE);
        if (held && requests % 3 == 0) hang_up(held);
        ended = 0;
        for (int i = 0; i < COUNT; i++) ended += all[i].ends;
    }
    for (int i = 0; i < COUNT; i++) buf_release(&all[i].answer);
    tear_down();
}

/* The calls of the test below. */
static struct heard later[24];
static int later_left;

static void count_end(struct heard *h)
{
    later_left--;
}

Test(http_client, new_calls_begin_after_others_were_cancelled_before_curl_connected_them)
{
    enum { TURNS_MAX = 1000 };
    int cancelled = 0;
    stop_listening();
    uv_run(&loop, UV_RUN_NOWAIT);
    for (size_t i = 0; i < ARRAY_SIZE(later); i++) {
        later[i].then = count_end;
        start(&later[i], "/echo");
    }
    client_settle(client); /* gives some of the calls to curl, which connects them only in a turn of the loop */
    for (size_t i = 0; i < ARRAY_SIZE(later); i++) {
        if (later[i].call->state != CALL_RUNNING) continue;
        http_call_cancel(later[i].call);
        cancelled++;
    }
    cr_assert_gt(cancelled, 0);
    later_left = (int)ARRAY_SIZE(later) - cancelled;
    for (int turns = 0; later_left > 0; turns++) {
        cr_assert_lt(turns, TURNS_MAX, "%d calls do not begin", later_left);
        uv_run(&loop, UV_RUN_ONCE);
    }
    tear_down();
}

static size_t give_slowly(void *data, char *dst, size_t cap)
{
    size_t n = give(data, dst, cap);
    for (uint64_t since = now_ns(); now_ns() - since < NS_PER_MS;) continue;
    return n;
}

/* Beginning a call may take a long time. Here each call takes a millisecond to begin, and the client begins calls for
 * about 4 ms of a turn. On a slow machine, the client begins fewer calls in a turn. */
Test(http_client, many_new_calls_begin_in_several_turns)
{
    enum { COUNT = 40, MOST = 12 };
    static struct heard all[COUNT];
    int ended = 0;
    for (int i = 0; i < COUNT; i++) {
        all[i] = (struct heard){.body = "x", .body_len = 1};
        start(&all[i], "/echo");
        all[i].call->options.read = give_slowly;
    }
    cr_assert_eq(http_client_calls_to_begin(client), COUNT);
    for (size_t begun = 0; ended < COUNT;) {
        uv_run(&loop, UV_RUN_ONCE);
        size_t now = COUNT - http_client_calls_to_begin(client);
        cr_assert_leq(now - begun, BY_CURL ? MOST : COUNT, "%zu calls began in one turn", now - begun);
        begun = now;
        ended = 0;
        for (int i = 0; i < COUNT; i++) ended += all[i].ends;
    }
    for (int i = 0; i < COUNT; i++) {
        cr_assert_eq(all[i].result.outcome, HTTP_CALL_OK, "%s", all[i].reason);
        buf_release(&all[i].answer);
    }
    tear_down();
}

/* Postponed wires wait for a later turn. Checks that the first of the postponed wires are still watched. */
static void check_postponed(void)
{
    size_t i = 0;
    for (struct list_link *at = list_next(&client->postponed, NULL); at; at = list_next(&client->postponed, at), i++) {
        const struct http_wire *w = CONTAINER_OF(at, struct http_wire, postponed_link);
        if (i < HTTP_CLIENT_POSTPONED_WATCHED) cr_assert(w->watched & UV_READABLE, "wire %zu is not watched", i);
        if (!w->watched) cr_assert(w->watched_before & UV_READABLE);
    }
}

Test(http_client, many_answers_that_come_together_are_read_in_several_turns)
{
    enum { COUNT = 40, MOST = 12 };
    static struct heard all[COUNT];
    int ended = 0, before = 0;
    for (int i = 0; i < COUNT; i++) {
        all[i] = (struct heard){.body = "x", .body_len = 1, .slow = true};
        start(&all[i], "/echo");
    }
    while (ended < COUNT) {
        before = ended;
        uv_run(&loop, UV_RUN_ONCE);
        check_postponed();
        ended = 0;
        for (int i = 0; i < COUNT; i++) ended += all[i].ends;
        cr_assert_leq(ended - before, BY_CURL ? COUNT : MOST, "%d answers were read in one turn", ended - before);
    }
    for (int i = 0; i < COUNT; i++) {
        cr_assert_eq(all[i].result.outcome, HTTP_CALL_OK, "%s", all[i].reason);
        buf_release(&all[i].answer);
    }
    tear_down();
}
