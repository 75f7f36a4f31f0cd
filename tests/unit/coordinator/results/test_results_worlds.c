/* The stream of stored results in random worlds: blocks come in any order while a client reads, the store is sometimes
 * unavailable, and the job may be redriven. Each item must be sent once, in order, with its answer. */
#include "common/base/random.h"
#include "common/observe/log.h"
#include "coordinator/results/results_internal.h"
#include "coordinator/results/results_reader.h"
#include "unit/coordinator/durable/fake_store.h"
#include "unit/coordinator/fake_exchange.h"
#include "unit/fake_clock.h"
#include "unit/leaks.h"

#define ID "0195f2c4-0000-7000-8000-000000000001"

enum { ITEMS_MAX = 80 };
enum answer { NONE, VALUE, FAILED };

struct world {
    uv_loop_t loop;
    struct random_source rng;
    struct fake_store *store;
    struct fake_job *job;
    struct job_watches watches;
    struct http_exchange x;
    char from[20];
    uint64_t items, first;
    enum answer answers[ITEMS_MAX];
    bool failed_before[ITEMS_MAX]; /* the item had an error before a redrive */
    bool ended;                    /* the stream has ended */
};

static uint32_t draw(struct world *w, uint32_t n)
{
    return random_below(&w->rng, n);
}

static void world_init(struct world *w, uint64_t seed)
{
    *w = (struct world){.rng = {seed}, .x = {.id = ID}};
    log_set_level(LOG_LEVEL_COUNT);
    fake_clock_start();
    uv_loop_init(&w->loop);
    w->store = fake_store_new(NULL);
    w->store->page_blocks = 1 + draw(w, 4);
    w->watches = (struct job_watches){.store = &w->store->store, .heartbeat_s = 15, .max_unanswered_errors = 1000};
    job_watches_start(&w->watches, &w->loop);
    w->items = draw(w, ITEMS_MAX);
    w->first = draw(w, 3) ? 0 : draw(w, ITEMS_MAX);
    w->job = fake_store_add_job(w->store, ID, STORED_RUNNING, w->items);
    snprintf(w->from, sizeof w->from, "%u", (unsigned)w->first);
    w->x.query[0] = "from";
    w->x.query[1] = w->from;
    results_reader_handle(&w->x, &w->watches);
}

static void world_over(struct world *w)
{
    exchange_close(&w->x, HTTP_CLOSED_DONE);
    fake_store_run(w->store);
    fake_store_free(w->store);
    job_watches_stop(&w->watches);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&w->loop), 0);
    fake_clock_ns = 0;
}

/* Adds a block with the answers of some items that have no answer yet, in a random order. */
static void record(struct world *w)
{
    bool errors = draw(w, 3) == 0;
    struct block b = {.kind = errors ? BLOCK_ERRORS : BLOCK_VALUES};
    uint64_t n = 0;
    b.ranges = xcalloc(ITEMS_MAX, sizeof *b.ranges);
    for (unsigned tries = 1 + draw(w, 6); tries > 0 && w->items > 0; tries--) {
        uint64_t at = draw(w, (uint32_t)w->items), first = at;
        for (; at < w->items && w->answers[at] == NONE && at < first + 6; at++) {
            w->answers[at] = errors ? FAILED : VALUE;
            buf_addf(&b.lines, errors ? "{\"error\":%u}\n" : "{\"value\":%u}\n", (unsigned)at);
        }
        if (at > first) b.ranges[b.range_count++] = (struct block_range){first, at - first, false};
        n += at - first;
    }
    *(errors ? &w->job->job.counts.failed : &w->job->job.counts.succeeded) += n;
    if (n)
        fake_store_add_block(w->store, w->job, &b);
    else
        block_release(&b);
}

static void end_job(struct world *w)
{
    const struct stored_counts *n = &w->job->job.counts;
    if (n->succeeded + n->failed < w->items || w->job->job.state != STORED_RUNNING) return;
    w->job->job.state = n->failed ? STORED_PARTIAL : STORED_SUCCEEDED;
    w->job->job.ended_ms = w->store->now_ms;
}

/* Redrives the job. The redriven job starts immediately. */
static void redrive(struct world *w)
{
    if (!stored_state_is_end(w->job->job.state) || !w->job->job.counts.failed || w->job->job.redrives == 2) return;
    bool away = w->store->away;
    store_start(&w->store->store, fake_store_call(STORE_REDRIVE, ID));
    w->store->away = false;
    fake_store_run(w->store);
    w->store->away = away;
    w->job->job.state = STORED_RUNNING;
    for (uint64_t i = 0; i < w->items; i++) {
        if (w->answers[i] != FAILED) continue;
        w->failed_before[i] = true;
        w->answers[i] = NONE;
    }
}

static void pass_time(struct world *w)
{
    struct results_reader *r = w->x.data;
    fake_clock_pass(50 + draw(w, 2000));
    r->watch.ops->tick(r, now_ns());
}

static void pull(struct world *w)
{
    if (!w->ended && w->x.streaming) w->ended = exchange_pull(&w->x, 1 + draw(w, 120));
}

static void act(struct world *w)
{
    switch (draw(w, 12)) {
    case 0:
    case 1: record(w); break;
    case 2: end_job(w); break;
    case 3: job_watches_poke(&w->watches, ID); break;
    case 4: pass_time(w); break;
    case 5: w->store->away = w->x.streaming && draw(w, 3) == 0; break;
    case 6:
        if (draw(w, 4) == 0) redrive(w);
        break;
    case 7:
    case 8:
    case 9: fake_store_step(w->store); break;
    default: pull(w); break;
    }
}

static void check_line(const struct world *w, const char *line, uint64_t item)
{
    char value[80], error[80];
    snprintf(value, sizeof value, "{\"type\":\"result\",\"index\":%u,\"value\":%u}\n", (unsigned)item, (unsigned)item);
    snprintf(error, sizeof error, "{\"type\":\"error\",\"index\":%u,\"error\":%u}\n", (unsigned)item, (unsigned)item);
    bool is_value = strncmp(line, value, strlen(value)) == 0, is_error = strncmp(line, error, strlen(error)) == 0;
    cr_assert(is_value || is_error, "item %u: %.80s", (unsigned)item, line);
    cr_assert(is_value ? w->answers[item] == VALUE : w->answers[item] == FAILED || w->failed_before[item]);
}

static void check(struct world *w)
{
    uint64_t item = w->first;
    const char *line = buf_cstr(&w->x.answer), *next;
    bool end_line = false;
    for (; (next = strchr(line, '\n')); line = next + 1) {
        cr_assert_not(end_line, "a line after the end line: %.80s", line);
        end_line = strncmp(line, "{\"type\":\"end\"", 13) == 0;
        if (end_line || strncmp(line, "{\"type\":\"start\"", 15) == 0) continue;
        if (strncmp(line, "{\"type\":\"heartbeat\"", 19) == 0) continue;
        check_line(w, line, item++);
    }
    cr_assert(end_line);
    cr_assert_eq(item, w->first > w->items ? w->first : w->items);
}

Test(results_worlds, each_item_is_sent_once_in_order_whatever_happens)
{
    for (uint64_t seed = 1; seed <= 600; seed++) {
        struct world w;
        world_init(&w, seed);
        for (unsigned i = 0; i < 300 && !w.ended; i++) act(&w);
        w.store->away = false;
        while (w.job->job.counts.succeeded + w.job->job.counts.failed < w.items) record(&w);
        end_job(&w);
        for (unsigned i = 0; i < 2000 && !w.ended; i++) {
            pass_time(&w);
            fake_store_run(w.store);
            pull(&w);
        }
        cr_assert(w.ended, "seed %llu: the stream does not end", (unsigned long long)seed);
        check(&w);
        world_over(&w);
    }
    assert_no_leaks();
}
