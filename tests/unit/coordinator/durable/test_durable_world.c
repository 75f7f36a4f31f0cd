/*
 * Random worlds: three coordinators share a store. The coordinators are killed, are drained, and sleep until their
 * leases have expired. Some coordinators have no workers, and all coordinators learn late which tasks their workers
 * have. Calls to the store are slow, fail, or take effect and lose their replies. Jobs arrive, are cancelled and are
 * redriven. In the end each job has ended, and each item has one answer.
 *
 * The environment variable WORLD_SEEDS sets the number of worlds, and WORLD_SEED sets the seed of the first world.
 */
#include "unit/coordinator/durable/durable_harness.h"
#include "unit/coordinator/durable/trips.h"

enum { NODES = 3, JOBS = 8, ITEMS_MAX = 64 };
enum { TROUBLE_MS = 40000, PATIENCE_MS = 200000 };

enum node_state { UP, ASLEEP, DRAINING, DEAD, DOWN };

struct node {
    struct store store; /* delays calls and replies between this replica and the shared store */
    struct world *world;
    struct replica replica;
    enum node_state state;
    uint64_t until_ns;    /* ASLEEP, DRAINING, DOWN: when this state ends */
    uint64_t describe_ns; /* when the workers of this replica describe their tasks; 0: never, or already done */
    struct trips to, from;
};

struct world {
    unsigned seed;
    struct fake_store *store;
    struct node nodes[NODES];
    bool calm;    /* no new faults */
    bool closing; /* no coordinator starts */
    unsigned serial;
    struct trip *carried;
    unsigned sends[JOBS][ITEMS_MAX]; /* how often an item was sent */
    unsigned jobs;
};

static unsigned draw(struct world *w, unsigned below)
{
    return (unsigned)rand_r(&w->seed) % below;
}

static bool chance(struct world *w, unsigned percent)
{
    return draw(w, 100) < percent;
}

static uint64_t in_ms(unsigned ms)
{
    return fake_clock_ns + ms * NS_PER_MS;
}

/* The functions below deliver calls to the store, and replies to the replicas. */

static void start_trip(struct store *store, struct store_call *call)
{
    struct node *n = CONTAINER_OF(store, struct node, store);
    trips_push(&n->to, call, call->done, in_ms(draw(n->world, n->world->calm ? 5 : 60)));
}

static void arrived(struct store_call *call)
{
}

static void set_fault(struct world *w, enum store_op op)
{
    struct fake_fault *f = &w->store->faults[op];
    *f = (struct fake_fault){.status = STORE_AWAY};
    if (w->calm) return;
    if (chance(w, 10)) *f = (struct fake_fault){.status = STORE_AWAY, .times = 1, .lost = chance(w, 50)};
    if (op == STORE_ADD_BLOCK && chance(w, 5)) *f = (struct fake_fault){.status = STORE_FULL, .times = 1};
}

/* Lets the store carry out one call. Checks that a call with an old fence changes nothing. */
static void carry_out(struct world *w, struct store_call *call)
{
    struct fake_job *j = fake_store_find(w->store, call->job.id);
    struct fake_job before = j ? *j : (struct fake_job){0};
    set_fault(w, call->op);
    call->done = arrived;
    store_start(&w->store->store, call);
    fake_store_run(w->store);
    if (!j || call->job.fence == before.job.fence) return;
    cr_assert_eq(j->block_count, before.block_count, "a block was added with an old fence");
    cr_assert_eq(j->job.state, before.job.state, "a state was set with an old fence");
    cr_assert_eq(j->lease_end_ms, before.lease_end_ms, "a lease was extended with an old fence");
}

static void node_calls(struct node *n)
{
    while (n->to.n > 0 && (n->to.at[0].due_ns <= fake_clock_ns || n->state == DEAD)) {
        struct trip t = trips_pop(&n->to);
        if (n->state == DEAD)
            t.call->status = STORE_FENCED;
        else
            carry_out(n->world, t.call);
        trips_push(&n->from, t.call, t.done, n->state == DEAD ? 0 : in_ms(draw(n->world, 20)));
    }
}

static void node_replies(struct node *n)
{
    while (n->from.n > 0 && n->from.at[0].due_ns <= fake_clock_ns) {
        struct trip t = trips_pop(&n->from);
        t.call->done = t.done;
        t.call->done(t.call);
    }
}

/* Workers. */

static unsigned job_number(const struct job *j)
{
    return (unsigned)(j->id[0] - 'a');
}

/* Notes the items that were sent since the last call. */
static void note_sends(struct node *n)
{
    for (unsigned i = 0; i < n->replica.stage.out_n; i++) {
        struct sched_attempt *a = n->replica.stage.out[i];
        if (a->call) continue;
        a->call = n;
        struct phase *p = sched_job_owner(a->chunk->job);
        for (uint32_t k = a->from; k < a->to; k++) n->world->sends[job_number(p->job)][a->chunk->first + k]++;
    }
}

/* Answers the next item. The answers of an ended job are dropped. */
static void answer(struct world *w, struct sched_attempt *a)
{
    static const char error[] = "{\"error\":{\"name\":\"task_error\"}}\n";
    struct phase *p = sched_job_owner(a->chunk->job);
    struct buf line = {0};
    if (chance(w, 10)) {
        struct sched_item_verdict v = sched_attempt_item_error(a, ITEM_TASK_ERROR, now_ns());
        if (v.verdict == SCHED_ITEM_FINAL) phase_add_error(p, v.index, 1, error, strlen(error));
        return;
    }
    struct sched_accept accept = sched_attempt_answered(a, 1, now_ns());
    buf_addf(&line, "{\"value\":\"answer %u\"}\n", ++w->serial);
    if (accept.keep) phase_add_values(p, sched_chunk_index(a->chunk, accept.at), 1, line.data, line.len);
    buf_release(&line);
}

static void node_work(struct node *n)
{
    struct world *w = n->world;
    struct stage *s = &n->replica.stage;
    note_sends(n);
    for (unsigned tries = draw(w, 6); tries > 0 && s->out_n > 0; tries--) {
        struct sched_attempt *a = s->out[draw(w, s->out_n)];
        for (unsigned i = draw(w, 8) + 1; i > 0 && a->from + a->received < a->to; i--) answer(w, a);
        if (a->from + a->received == a->to) stage_complete(s, a);
        note_sends(n);
    }
}

/* Coordinators. */

static void node_start(struct node *n)
{
    static const struct store_ops ops = {.start = start_trip};
    n->store.ops = &ops;
    n->state = UP;
    n->describe_ns = 0;
    replica_start_with(&n->replica, &n->store, NULL);
    if (n != &n->world->nodes[0] && chance(n->world, 30)) return; /* it has no workers */
    stage_add_slots(&n->replica.stage, 1 + draw(n->world, 4));
    n->describe_ns = in_ms(draw(n->world, 3000));
}

static void describe_tasks(struct node *n)
{
    static const char tasks[] = "{\"tasks\":[{\"name\":\"echo\"},{\"name\":\"once\",\"idempotent\":false}]}";
    if (!n->describe_ns || n->describe_ns > fake_clock_ns || n->state == DEAD) return;
    n->describe_ns = 0;
    replica_describe(&n->replica, tasks);
}

/* Kills the coordinator. Some calls of the killed coordinator are on the way and still reach the store. The other calls
 * are lost. The coordinator gets no more replies. */
static void node_kill(struct node *n)
{
    for (size_t i = draw(n->world, (unsigned)n->to.n + 1); i > 0; i--) {
        struct trip t = trips_pop(&n->to);
        carry_out(n->world, t.call);
        t.call->status = STORE_FENCED;
        trips_push(&n->from, t.call, t.done, 0);
    }
    for (size_t i = 0; i < n->from.n; i++) n->from.at[i].call->status = STORE_FENCED;
    n->state = DEAD;
    durable_drain(&n->replica.durable);
    durable_cut(&n->replica.durable);
}

static void node_stop_when_idle(struct node *n)
{
    if (!durable_is_idle(&n->replica.durable) || n->to.n > 0 || n->from.n > 0) return;
    replica_stop(&n->replica);
    n->state = DOWN;
    n->until_ns = in_ms(draw(n->world, 5000));
}

static void node_trouble(struct node *n)
{
    unsigned what = draw(n->world, 400);
    if (what == 0) {
        node_kill(n);
    } else if (what <= 2) {
        n->state = ASLEEP;
        n->until_ns = in_ms(draw(n->world, 30000));
    } else if (what == 3) {
        n->state = DRAINING;
        n->until_ns = in_ms(5000);
        durable_drain(&n->replica.durable);
    }
}

static void node_step(struct node *n)
{
    bool is_over = n->until_ns <= fake_clock_ns;
    node_calls(n);
    if (n->state == DOWN && is_over && !n->world->closing) node_start(n);
    if (n->state == ASLEEP && is_over) n->state = UP;
    if (n->state == ASLEEP || n->state == DOWN) return;
    node_replies(n);
    describe_tasks(n);
    replica_turn(&n->replica);
    if (n->state != DEAD) node_work(n);
    if (n->state == DRAINING && is_over) durable_cut(&n->replica.durable);
    if (n->state == DRAINING || n->state == DEAD) node_stop_when_idle(n);
    if (n->state == UP && !n->world->calm) node_trouble(n);
}

/* Clients. */

/* The job was accepted before it was known that the items of its task must not run twice. */
#define LATE "{\"query\":{\"task\":\"once\"},\"options\":null,\"have_items\":true,\"idempotent\":null}"

static void add_job(struct world *w)
{
    static const char *const options[] = {
        HARNESS_PLAIN,
        HARNESS_UNSURE,
        LATE,
        HARNESS_OPTIONS("{\"range\":{\"start\":0,\"stop\":40}}", "false", "null"),
        HARNESS_OPTIONS("{\"range\":{\"start\":0,\"stop\":40}}", "false", "false"),
        HARNESS_WITH("{\"tolerated_failure_count\":3}"),
        HARNESS_WITH("{\"chunk_size\":2,\"max_concurrency\":3}"),
        HARNESS_WITH("{\"reduce\":\"concat\"}"),
    };
    char id[2] = {(char)('a' + w->jobs), '\0'};
    size_t kind = draw(w, ARRAY_SIZE(options));
    struct fake_job *j = strstr(options[kind], "range")
                             ? harness_add_job(w->store, id, options[kind], 40)
                             : harness_add_items(w->store, id, options[kind], draw(w, ITEMS_MAX), 1 + draw(w, 20));
    j->job.priority = (int)draw(w, 10);
    if (strcmp(options[kind], LATE) == 0) memcpy(j->job.task, "once", strlen("once"));
    w->jobs++;
    struct node *n = &w->nodes[draw(w, NODES)];
    if (n->state == UP) durable_claim_soon(&n->replica.durable);
}

static void client_calls(struct world *w, enum store_op op)
{
    char id[2] = {(char)('a' + draw(w, w->jobs)), '\0'};
    struct store_call *call = fake_store_call(op, id);
    w->store->faults[op] = (struct fake_fault){0};
    store_start(&w->store->store, call);
    fake_store_run(w->store);
    struct node *n = &w->nodes[draw(w, NODES)];
    if (op == STORE_WANT_CANCEL && n->state == UP) durable_cancel(&n->replica.durable, id);
}

static void clients(struct world *w)
{
    if (w->calm) return;
    if (w->jobs < JOBS && chance(w, 3)) add_job(w);
    if (w->jobs > 0 && draw(w, 500) == 0) client_calls(w, STORE_WANT_CANCEL);
    if (w->jobs > 0 && draw(w, 300) == 0) client_calls(w, STORE_REDRIVE);
}

/* The functions below check the rules that hold at the end of a simulated world. */

/* Notes the answer of an item. The item must not have an answer yet, because a block whose reply was lost must be in
 * the store only once. */
static void note_answer(struct recorded *all, uint64_t index, const char *line, size_t len)
{
    cr_assert_null(all->lines[index], "item %d has two answers", (int)index);
    all->lines[index] = xstrndup(line, len);
}

static void note_answers(struct recorded *all, const struct block *b)
{
    const char *at = b->lines.data;
    if (b->kind != BLOCK_VALUES && b->kind != BLOCK_ERRORS) return;
    for (size_t i = 0; i < b->range_count; i++)
        for (uint64_t k = 0; k < b->ranges[i].n; k++) {
            const char *newline = strchr(at, '\n');
            note_answer(all, b->ranges[i].first + k, at, (size_t)(newline - at));
            if (!b->ranges[i].repeated || k + 1 == b->ranges[i].n) at = newline + 1;
        }
}

static struct stored_counts count_answers(const struct recorded *all)
{
    struct stored_counts n = {0};
    for (size_t i = 0; i < ITEMS_MAX; i++) {
        if (!all->lines[i]) continue;
        bool is_value = strncmp(all->lines[i], "{\"value\"", 8) == 0;
        ++*(is_value ? &n.succeeded : strstr(all->lines[i], "\"cancelled\"") ? &n.cancelled : &n.failed);
    }
    return n;
}

/* Checks that the result has the values in the order of their items, whatever happened to the coordinators. */
static void check_result(const struct fake_job *j, const struct recorded *all)
{
    struct buf wanted = {0};
    if (!strstr(j->job.options, "reduce")) return;
    if (j->job.state == STORED_CANCELLED && !j->job.result) return; /* it was cancelled while no coordinator ran it */
    cr_assert_not_null(j->job.result, "job %s has no result", j->job.id);
    for (size_t i = 0; i < ITEMS_MAX; i++) {
        if (!all->lines[i] || strncmp(all->lines[i], "{\"value\":\"", 10) != 0) continue;
        buf_add(&wanted, all->lines[i] + 10, strlen(all->lines[i]) - 12);
    }
    cr_assert_eq(j->job.result[0], j->job.counts.succeeded ? '"' : 'n');
    if (j->job.counts.succeeded)
        cr_assert_eq(strncmp(j->job.result + 1, buf_cstr(&wanted), wanted.len), 0, "job %s: %s", j->job.id,
                     j->job.result);
    if (j->job.counts.succeeded) cr_assert_eq(strlen(j->job.result), wanted.len + 2);
    buf_release(&wanted);
}

static void check_job(struct world *w, const struct fake_job *j)
{
    static struct recorded all;
    const struct stored_counts *said = &j->job.counts;
    for (size_t i = 0; i < j->block_count; i++) {
        buf_cstr(&j->blocks[i].lines);
        note_answers(&all, &j->blocks[i]);
    }
    struct stored_counts n = count_answers(&all);
    check_result(j, &all);
    cr_assert(stored_state_is_end(j->job.state), "job %s is %s", j->job.id, stored_state_name(j->job.state));
    cr_assert_eq(said->succeeded, n.succeeded, "job %s: %d values are counted, %d are there", j->job.id,
                 (int)said->succeeded, (int)n.succeeded);
    cr_assert_eq(said->failed, n.failed, "job %s: %d failures are counted, %d are there", j->job.id, (int)said->failed,
                 (int)n.failed);
    cr_assert_eq(said->succeeded + said->failed + said->cancelled, j->job.items, "job %s: %d + %d + %d of %d",
                 j->job.id, (int)said->succeeded, (int)said->failed, (int)said->cancelled, (int)j->job.items);
    cr_assert(!j->job.reason || strcmp(j->job.reason, sched_cause_no_workers) != 0, "job %s: %s", j->job.id,
              j->job.reason);
    /* If a job was cancelled while it was pending, its items have no block. */
    if (j->job.state != STORED_CANCELLED) cr_assert_eq(said->cancelled, n.cancelled);
    if (j->job.state == STORED_SUCCEEDED) cr_assert_eq(n.succeeded, j->job.items);
    if (j->job.state == STORED_PARTIAL) cr_assert_lt(n.succeeded, j->job.items);
    /* A client that redrives a job wants its items to run again. */
    bool is_once = strcmp(j->job.options, LATE) == 0 || strstr(j->job.options, "\"idempotent\":false");
    bool may_repeat = j->job.redrives > 0 || !is_once;
    for (uint64_t i = 0; i < j->job.items && !may_repeat; i++)
        cr_assert_leq(w->sends[j->job.id[0] - 'a'][i], 1, "item %d of job %s was sent twice", (int)i, j->job.id);
    recorded_release(&all);
}

static bool all_ended(const struct world *w)
{
    for (size_t i = 0; i < w->store->job_count; i++)
        if (!stored_state_is_end(w->store->jobs[i]->job.state)) return false;
    return true;
}

/* The world. */

static void world_step(struct world *w)
{
    static const unsigned steps_ms[] = {10, 10, 30, 100, 200, 300};
    unsigned ms = steps_ms[draw(w, ARRAY_SIZE(steps_ms))];
    fake_clock_pass(ms);
    w->store->now_ms += ms;
    clients(w);
    for (unsigned i = 0; i < NODES; i++) node_step(&w->nodes[i]);
}

/* Drains a coordinator, unless it was killed, and runs the world until the coordinator is down. */
static void node_end(struct node *n)
{
    if (n->state == DOWN) return;
    durable_drain(&n->replica.durable);
    n->until_ns = 0;
    if (n->state != DEAD) n->state = DRAINING;
    while (n->state != DOWN) world_step(n->world);
}

static void run_world(unsigned seed)
{
    static struct world w;
    w = (struct world){.seed = seed};
    fake_clock_start();
    w.store = fake_store_new(NULL);
    w.store->gives_whole = seed % 2 == 0;
    w.store->page_blocks = 1 + draw(&w, 10);
    for (unsigned i = 0; i < NODES; i++) w.nodes[i].world = &w;
    for (unsigned i = 0; i < NODES; i++) node_start(&w.nodes[i]);
    int64_t begin_ms = w.store->now_ms;
    while (w.store->now_ms < begin_ms + TROUBLE_MS) world_step(&w);
    w.calm = true;
    while (!all_ended(&w) && w.store->now_ms < begin_ms + PATIENCE_MS) world_step(&w);
    for (size_t i = 0; i < w.store->job_count; i++) check_job(&w, w.store->jobs[i]);
    w.closing = true;
    for (unsigned i = 0; i < NODES; i++) node_end(&w.nodes[i]);
    fake_store_free(w.store);
    fake_clock_ns = 0;
    metrics_release();
    fake_client_release();
}

static unsigned setting(const char *name, unsigned otherwise)
{
    const char *value = getenv(name);
    return value ? (unsigned)strtoul(value, NULL, 10) : otherwise;
}

Test(durable_world, each_job_ends_and_each_item_has_one_answer)
{
    unsigned first = setting("WORLD_SEED", 1), n = setting("WORLD_SEEDS", 400);
    for (unsigned seed = first; seed < first + n; seed++) {
        if (getenv("WORLD_SEEDS")) fprintf(stderr, "world %u\n", seed); /* the last line names the world that fails */
        run_world(seed);
    }
    assert_no_leaks();
}
