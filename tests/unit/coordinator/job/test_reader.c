/* How answers are sent: as they arrive, to slow clients, and to several clients. */
#include "unit/coordinator/job/job_harness.h"

#define STREAM "application/x-ndjson"

/* Returns the text after the start line. Checks that the start line comes first and only once. */
static const char *after_start(struct http_exchange *x, const char *id)
{
    char start[100];
    snprintf(start, sizeof start, "{\"type\":\"start\",\"id\":\"%s\"}\n", id);
    const char *text = buf_cstr(&x->answer);
    cr_assert_eq(strncmp(text, start, strlen(start)), 0, "%.200s", text);
    text += strlen(start);
    cr_assert_not(strstr(text, "\"start\""), "%.200s", text);
    return text;
}

/* Adds a job object with n items of about 500 bytes each. */
static void add_long_items(struct buf *body, unsigned n, const char *options)
{
    buf_addf(body, "{\"task\":\"echo\",%s\"items\":[", options);
    for (unsigned i = 0; i < n; i++) buf_addf(body, "%s\"%0500u\"", i ? "," : "", i);
    buf_add_str(body, "]}");
}

Test(reader, a_client_that_stops_reading_costs_disk_and_not_memory)
{
    enum { N = 2000 };
    struct stage s;
    struct http_exchange x = {.accept = STREAM};
    struct buf body = {0}, line = {0};
    stage_init(&s);
    s.config.result_memory_bytes = 100000;
    stage_add_slots(&s, 8);
    add_long_items(&body, N, "");
    stage_post_body(&s, &x, buf_cstr(&body));
    stage_answer_all(&s);
    const struct collector *c = stage_job(&s)->answers.collector;
    cr_assert_gt(collector_spilled_bytes(c), N * 500 / 2);
    cr_assert_lt(collector_memory_bytes(c), 200000);
    while (!exchange_pull(&x, 1000)) continue;
    const char *at = after_start(&x, x.job);
    for (unsigned i = 0; i < N; i++) {
        buf_clear(&line);
        buf_addf(&line, "{\"type\":\"result\",\"index\":%u,\"value\":\"%0500u\"}\n", i, i);
        cr_assert_eq(strncmp(at, line.data, line.len), 0, "line %u is %.60s", i, at);
        at += line.len;
    }
    cr_assert_eq(strncmp(at, "{\"type\":\"end\"", 13), 0);
    exchange_close(&x, HTTP_CLOSED_DONE);
    buf_release(&body);
    buf_release(&line);
    stage_over(&s);
}

Test(reader, a_job_whose_reader_stops_pauses_and_does_not_fail)
{
    enum { N = 12000 };
    struct stage s;
    struct http_exchange x = {.accept = STREAM};
    struct buf body = {0};
    stage_init(&s);
    s.jobs.spill.max_bytes = 4 * MIB;
    stage_add_slots(&s, 2);
    add_long_items(&body, N, "\"max_chunk_bytes\":16384,"); /* little is in flight, compared with the limit */
    stage_post_body(&s, &x, buf_cstr(&body));
    stage_answer_all(&s);
    struct job *j = stage_job(&s);
    cr_assert(j->paused);
    cr_assert_eq(j->state, JOB_RUNNING);
    cr_assert_lt(s.jobs.spill.used_bytes, s.jobs.spill.max_bytes);
    bool ended = false;
    for (unsigned turn = 0; turn < 1000 && !ended; turn++) {
        ended = exchange_pull(&x, 65536);
        stage_answer_all(&s);
        while (spill_dir_step(&s.jobs.spill)) continue;
    }
    cr_assert(ended);
    cr_assert(strstr(buf_cstr(&x.answer), "\"status\":\"succeeded\""));
    cr_assert(strstr(x.answer.data, "\"index\":11999,"));
    exchange_close(&x, HTTP_CLOSED_DONE);
    buf_release(&body);
    stage_over(&s);
}

Test(reader, control_lines_for_a_client_that_stops_reading_do_not_pile_up)
{
    struct stage s;
    struct http_exchange x = {.accept = STREAM};
    stage_init(&s);
    stage_post_body(&s, &x, "{\"task\":\"echo\",\"items\":[1]}");
    struct reader *r = stage_job(&s)->submission.reader;
    for (uint64_t i = 1; i <= 1000; i++) jobs_tick(&s.jobs, now_ns() + i * 60 * NS_PER_S);
    cr_assert_lt(r->pending.len, 120);
    cr_assert_not(exchange_pull(&x, 4096));
    jobs_tick(&s.jobs, now_ns() + 2000 * 60 * NS_PER_S);
    cr_assert_not(exchange_pull(&x, 4096));
    cr_assert_str_eq(after_start(&x, stage_job(&s)->id), "{\"type\":\"heartbeat\"}\n{\"type\":\"heartbeat\"}\n");
    exchange_close(&x, HTTP_CLOSED_HANG_UP);
    stage_run(&s);
    stage_over(&s);
}

Test(reader, a_stream_without_answers_begins_with_the_id_of_its_job)
{
    struct stage s;
    struct http_exchange x = {.accept = STREAM};
    stage_init(&s);
    stage_post_body(&s, &x, "{\"task\":\"echo\",\"items\":[1]}");
    cr_assert_eq(x.status, 0, "a short job is answered in one piece");
    jobs_tick(&s.jobs, now_ns() + NS_PER_S / 4);
    cr_assert_not(exchange_pull(&x, 4096));
    cr_assert_str_eq(after_start(&x, stage_job(&s)->id), "");
    cr_assert_str_eq(x.job, stage_job(&s)->id);
    exchange_close(&x, HTTP_CLOSED_HANG_UP);
    stage_run(&s);
    stage_over(&s);
}

Test(reader, a_document_is_one_piece_when_it_is_small_and_a_stream_when_it_is_not)
{
    for (unsigned n = 1; n <= 1000; n += 999) {
        struct stage s;
        struct http_exchange x = {0};
        struct buf body = {0};
        stage_init(&s);
        stage_add_slots(&s, 8);
        add_long_items(&body, n, "");
        stage_post_body(&s, &x, buf_cstr(&body));
        cr_assert_eq(x.status, 0, "a document does not begin before the job has ended");
        stage_answer_all(&s);
        cr_assert_eq(x.status, 200);
        cr_assert_eq(x.streaming, n > 1);
        cr_assert(exchange_pull(&x, 3000));
        cr_assert(strstr(buf_cstr(&x.answer), "],\"errors\":[],\"stats\":{"), "%.200s", x.answer.data);
        exchange_close(&x, HTTP_CLOSED_DONE);
        buf_release(&body);
        stage_over(&s);
    }
}

Test(reader, a_client_that_comes_while_the_job_waits_is_told_why)
{
    struct stage s;
    struct http_exchange x = {.accept = STREAM};
    stage_init(&s);
    stage_post(&s, &x);
    exchange_send_text(&x, "{\"task\":\"echo\",\"items\":[1]}");
    job_set_waiting(stage_job(&s), SCHED_WAITING_NO_WORKERS);
    exchange_end_body(&x);
    cr_assert_not(exchange_pull(&x, 4096));
    cr_assert_str_eq(after_start(&x, stage_job(&s)->id), "{\"type\":\"waiting\",\"reason\":\"no_workers\"}\n");
    exchange_close(&x, HTTP_CLOSED_HANG_UP);
    stage_run(&s);
    stage_over(&s);
}

Test(reader, a_reduced_job_gives_one_value_and_its_errors)
{
    struct stage s;
    struct http_exchange x = {0};
    stage_init(&s);
    stage_add_slots(&s, 1);
    stage_post_body(&s, &x, "{\"task\":\"echo\",\"items\":[1,2,3,4],\"reduce\":\"sum\",\"chunk_size\":2}");
    stage_answer(&s, 2);
    job_cancel(stage_job(&s), SCHED_CANCELLED, "enough");
    stage_run(&s);
    cr_assert_eq(x.status, 200);
    cr_assert(strstr(buf_cstr(&x.answer),
                     "\"result\":3,\"errors\":[{\"index\":2,\"error\":{\"name\":\"cancelled\",\"sent\":false}},"
                     "{\"index\":3,\"error\":{\"name\":\"cancelled\",\"sent\":false}}],"
                     "\"stats\""),
              "%s", x.answer.data);
    exchange_close(&x, HTTP_CLOSED_DONE);
    stage_over(&s);
}

Test(reader, a_value_that_cannot_be_reduced_fails_the_job)
{
    struct stage s;
    struct http_exchange x = {.accept = STREAM};
    stage_init(&s);
    stage_add_slots(&s, 1);
    stage_post_body(&s, &x, "{\"task\":\"echo\",\"items\":[\"x\",2,3],\"reduce\":\"sum\",\"chunk_size\":1}");
    stage_answer(&s, 1);
    stage_run(&s);
    cr_assert(exchange_pull(&x, 4096));
    cr_assert(strstr(buf_cstr(&x.answer), "\"status\":\"failed\",\"reason\":\"sum cannot be applied"), "%s",
              x.answer.data);
    exchange_close(&x, HTTP_CLOSED_DONE);
    stage_over(&s);
}

Test(reader, answers_that_no_disk_takes_fail_the_job)
{
    struct stage s;
    struct http_exchange x = {0};
    struct buf body = {0};
    stage_init(&s);
    s.jobs.spill.path = "/nowhere/at/all";
    stage_add_slots(&s, 8);
    add_long_items(&body, 2000, "");
    stage_post_body(&s, &x, buf_cstr(&body));
    stage_answer_all(&s);
    cr_assert_eq(x.status, 507);
    cr_assert_str_eq(x.job, stage_job(&s)->id, "a problem that ends an accepted job has its id");
    cr_assert_str_eq(buf_cstr(&x.answer),
                     "the answers could not be stored in /nowhere/at/all: No such file or directory");
    exchange_close(&x, HTTP_CLOSED_DONE);
    buf_release(&body);
    stage_over(&s);
}

/* A store that keeps the answers even after they have been read. */
struct store {
    struct buf lines;
    uint64_t n;
};

static bool store_add(void *sink, uint64_t first, uint64_t n, const char *lines, size_t len)
{
    struct store *s = sink;
    cr_assert_eq(first, s->n, "this store takes answers in order");
    s->n += n;
    return buf_add(&s->lines, lines, len);
}

static bool store_take(void *sink, uint64_t index, struct buf *line)
{
    return store_add(sink, index, 1, line->data, line->len);
}

static bool store_add_repeated(void *sink, uint64_t first, uint64_t n, const char *line, size_t len)
{
    for (uint64_t i = 0; i < n; i++) store_add(sink, first + i, 1, line, len);
    return true;
}

/* The position of one reader in the store. */
struct place {
    const struct store *store;
    uint64_t index;
    size_t at;
};

static bool place_peek(void *source, struct answer_run *run, bool *failed)
{
    struct place *p = source;
    *run = (struct answer_run){.first = p->index,
                               .n = p->store->n - p->index,
                               .bytes = p->store->lines.data + p->at,
                               .len = p->store->lines.len - p->at};
    return run->n > 0;
}

static void place_consume(void *source, size_t n, size_t len)
{
    struct place *p = source;
    p->index += n;
    p->at += len;
}

static uint64_t place_unread(const void *source)
{
    const struct place *p = source;
    return p->store->lines.len - p->at;
}

static const struct answer_sink_ops store_ops = {
    .add = store_add, .take = store_take, .add_repeated = store_add_repeated};
static const struct answer_source_ops place_ops = {place_peek, place_consume, place_unread};

static ssize_t pull_second(struct http_exchange *x, char *dst, size_t cap)
{
    return reader_pull(http_exchange_data(x), dst, cap);
}

static void close_second(struct http_exchange *x, enum http_closed how)
{
    struct reader *r = http_exchange_data(x);
    struct job *j = r->job;
    reader_free(r);
    job_client_gone(j);
}

Test(reader, a_second_reader_gets_every_answer_too)
{
    static const struct http_exchange_ops second_ops = {.pull = pull_second, .closed = close_second};
    static const char both[] = "{\"type\":\"result\",\"index\":0,\"value\":1}\n{\"type\":\"result\",\"index\":1,"
                               "\"value\":2}\n{\"type\":\"result\",\"index\":2,\"value\":3}\n{\"type\":\"end\",";
    struct stage s;
    struct store store = {0};
    struct place first_place = {&store, 0, 0}, second_place = {&store, 0, 0};
    struct answer_source first_source = {&place_ops, &first_place}, second_source = {&place_ops, &second_place};
    struct http_exchange first = {.accept = STREAM}, second = {.accept = STREAM};
    stage_init(&s);
    stage_post_body(&s, &first, "{\"task\":\"echo\",\"items\":[1,2,3]}");
    struct job *j = stage_job(&s);
    j->phase.answers = (struct answer_sink){&store_ops, &store};
    reader_open(j->submission.reader, &first_source);
    stage_add_slots(&s, 1);
    stage_run(&s);
    stage_answer(&s, 1);
    cr_assert_not(exchange_pull(&first, 4096));

    struct reader *r = reader_new(j, &second);
    http_exchange_accept(&second, &second_ops, r);
    reader_open(r, &second_source);
    cr_assert_not(exchange_pull(&second, 7));
    cr_assert_str_eq(buf_cstr(&second.answer), buf_cstr(&first.answer), "the second reader begins at the first answer");
    first.wakes = second.wakes = 0;
    stage_answer_all(&s);
    cr_assert(first.wakes > 0 && second.wakes > 0, "both readers are woken for new answers");
    cr_assert(exchange_pull(&first, 4096));
    exchange_close(&first, HTTP_CLOSED_DONE);
    cr_assert_eq(s.jobs.count, 1, "the second reader has not read everything");
    cr_assert(exchange_pull(&second, 7));
    cr_assert_eq(strncmp(after_start(&second, j->id), both, sizeof both - 1), 0, "%s", second.answer.data);
    exchange_close(&second, HTTP_CLOSED_DONE);
    buf_release(&store.lines);
    stage_over(&s);
}

Test(reader, a_document_that_could_not_be_kept_is_refused_when_its_size_is_known)
{
    struct stage s;
    struct http_exchange x = {0};
    stage_init(&s);
    s.config.max_spill_bytes = 1000000;
    stage_post_body(&s, &x, "{\"task\":\"square\",\"range\":{\"stop\":100000}}");
    cr_assert_eq(x.status, 400);
    cr_assert(strstr(buf_cstr(&x.answer), "application/x-ndjson"), "%s", buf_cstr(&x.answer));
    exchange_close(&x, HTTP_CLOSED_DONE);
    stage_over(&s);
}
