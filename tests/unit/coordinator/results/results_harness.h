/* A request for the results of a stored job, without HTTP. */
#ifndef FANTAIL_TEST_RESULTS_HARNESS_H
#define FANTAIL_TEST_RESULTS_HARNESS_H

#include "coordinator/results/results_reader.h"

#include "common/observe/log.h"
#include "coordinator/results/results_internal.h"
#include "unit/coordinator/durable/fake_store.h"
#include "unit/coordinator/fake_exchange.h"
#include "unit/leaks.h"

#define ID "0195f2c4-0000-7000-8000-000000000001"

struct desk {
    uv_loop_t loop;
    struct fake_store *store;
    struct job_watches watches;
    struct http_exchange x;
};

static inline void desk_init(struct desk *d)
{
    *d = (struct desk){.x = {.id = ID}};
    log_set_level(LOG_LEVEL_ERROR);
    uv_loop_init(&d->loop);
    d->store = fake_store_new(NULL);
    d->watches = (struct job_watches){.store = &d->store->store, .heartbeat_s = 15, .max_unanswered_errors = 1000};
    job_watches_start(&d->watches, &d->loop);
}

static inline void desk_over(struct desk *d)
{
    if (!d->x.closed) exchange_close(&d->x, HTTP_CLOSED_DONE);
    fake_store_run(d->store);
    fake_store_free(d->store);
    job_watches_stop(&d->watches);
    uv_run(&d->loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&d->loop), 0);
    assert_no_leaks();
}

/* Alternates between store calls and pulls of the answer until neither makes progress. Returns whether the answer has
 * ended. */
static inline bool settle_one(struct desk *d, struct http_exchange *x, size_t cap)
{
    bool ended = false;
    for (unsigned wakes = x->wakes + 1; wakes != x->wakes;) {
        wakes = x->wakes;
        ended = exchange_pull(x, cap);
        while (fake_store_step(d->store)) ended = exchange_pull(x, cap);
    }
    return ended;
}

static inline bool settle(struct desk *d)
{
    return settle_one(d, &d->x, 4096);
}

static inline struct results_reader *reader_of(struct desk *d)
{
    return d->x.data;
}

static inline void tick(struct desk *d, uint64_t after_ns)
{
    reader_of(d)->watch.ops->tick(d->x.data, now_ns() + after_ns);
}

static inline const char *answer(struct desk *d)
{
    return buf_cstr(&d->x.answer);
}

/* Checks that the answer is the start line, these lines, and an end line with this status. If `status` is NULL, there
 * must be no end line. */
static inline void assert_stream(struct http_exchange *x, const char *lines, const char *status)
{
    static const char start_line[] = "{\"type\":\"start\",\"id\":\"" ID "\"}\n";
    const char *text = buf_cstr(&x->answer);
    cr_assert_eq(strncmp(text, start_line, sizeof start_line - 1), 0, "%.300s", text);
    text += sizeof start_line - 1;
    cr_assert_eq(strncmp(text, lines, strlen(lines)), 0, "%.600s", text);
    text += strlen(lines);
    if (!status) {
        cr_assert_str_eq(text, "");
        return;
    }
    char end[200];
    snprintf(end, sizeof end, "{\"type\":\"end\",\"id\":\"" ID "\",\"status\":\"%s\",", status);
    cr_assert_eq(strncmp(text, end, strlen(end)), 0, "%.300s", text);
    cr_assert(strstr(text, "\"counts\":{\"total\":"));
    cr_assert_eq(strchr(text, '\n')[1], '\0');
}

/* The stored options of a job with these query parameters after `task`. */
#define OPTIONS(more) "{\"query\":{\"task\":\"echo\"" more "},\"options\":null,\"have_items\":true,\"idempotent\":null}"
#define OPTIONS_RUNS  OPTIONS(",\"errors\":\"runs\"")

#define VALUE "{\"value\":%u}"
#define ERROR "{\"error\":{\"name\":\"task_error\"}}"

static inline struct fake_job *add_job(struct desk *d, enum stored_state state, uint64_t items)
{
    d->store->now_ms += 1000;
    return fake_store_add_job(d->store, ID, state, items);
}

/* Initializes a desk whose store has one job. */
static inline struct fake_job *desk_with_job(struct desk *d, enum stored_state state, uint64_t items)
{
    desk_init(d);
    return add_job(d, state, items);
}

/* Requests the stream, and reads it until no more bytes arrive. Returns whether the stream has ended. */
static inline bool read_stream(struct desk *d)
{
    results_reader_handle(&d->x, &d->watches);
    return settle(d);
}

#endif
