#include "unit/coordinator/durable/fake_store_internal.h"

/* Jobs. */

struct fake_job *fake_store_find(struct fake_store *s, const char *id)
{
    for (size_t i = 0; i < s->job_count; i++)
        if (strcmp(s->jobs[i]->job.id, id) == 0) return s->jobs[i];
    return NULL;
}

struct fake_job *fake_store_insert(struct fake_store *s, const struct stored_job *from)
{
    struct fake_job *j = xcalloc(1, sizeof *j);
    s->jobs = xrealloc(s->jobs, (s->job_count + 1) * sizeof(struct fake_job *));
    s->jobs[s->job_count++] = j;
    stored_job_copy(&j->job, from);
    j->job.created_ms = s->now_ms;
    return j;
}

static void free_job(struct fake_job *j)
{
    for (size_t i = 0; i < j->block_count; i++) block_release(&j->blocks[i]);
    free(j->blocks);
    stored_job_release(&j->job);
    free(j);
}

void fake_store_remove(struct fake_store *s, struct fake_job *j)
{
    size_t i = 0;
    while (s->jobs[i] != j) i++;
    memmove(&s->jobs[i], &s->jobs[i + 1], (--s->job_count - i) * sizeof(struct fake_job *));
    free_job(j);
}

uint64_t fake_store_add_block(struct fake_store *s, struct fake_job *j, struct block *b)
{
    j->blocks = xrealloc(j->blocks, (j->block_count + 1) * sizeof *j->blocks);
    b->number = ++s->last_block;
    j->blocks[j->block_count++] = *b;
    *b = (struct block){.number = b->number};
    return b->number;
}

struct fake_job *fake_store_add_job(struct fake_store *s, const char *id, enum stored_state state, uint64_t items)
{
    static char task[] = "echo", options[] = "{\"task\":\"echo\"}";
    struct stored_job job = {.state = state, .task = task, .options = options, .priority = 5, .items = items};
    snprintf(job.id, sizeof job.id, "%s", id);
    struct fake_job *j = fake_store_insert(s, &job);
    if (state >= STORED_RUNNING) j->job.started_ms = s->now_ms;
    if (stored_state_is_end(state)) j->job.ended_ms = s->now_ms;
    return j;
}

void fake_store_set_options(struct fake_job *j, const char *options)
{
    free(j->job.options);
    j->job.options = xstrdup(options);
}

void fake_store_add_lines(struct fake_store *s, struct fake_job *j, enum block_kind kind, uint64_t first, uint64_t n,
                          const char *format)
{
    struct block b = {.kind = kind, .range_count = 1};
    b.ranges = xcalloc(1, sizeof *b.ranges);
    b.ranges[0] = (struct block_range){.first = first, .n = n};
    for (uint64_t i = first; i < first + n; i++) {
        const char *at = strstr(format, "%u");
        buf_add(&b.lines, format, at ? (size_t)(at - format) : strlen(format));
        if (at) buf_add_u64(&b.lines, i);
        if (at) buf_add_str(&b.lines, at + 2);
        buf_add_char(&b.lines, '\n');
    }
    if (kind == BLOCK_VALUES) j->job.counts.succeeded += n;
    if (kind == BLOCK_ERRORS) j->job.counts.failed += n;
    fake_store_add_block(s, j, &b);
}

/* Calls. */

static enum store_status carry_out(struct fake_store *s, struct store_call *c)
{
    struct fake_fault *fault = &s->faults[c->op];
    bool fails = fault->times > 0;
    if (fails) fault->times--;
    if (s->away) return STORE_AWAY;
    if (fails && !fault->lost) return fault->status;
    enum store_status status = fake_store_act(s, c);
    return fails ? fault->status : status;
}

bool fake_store_step(struct fake_store *s)
{
    struct list_link *first = list_next(&s->waiting, NULL);
    if (!first) return false;
    struct store_call *c = CONTAINER_OF(first, struct store_call, link);
    list_remove(&s->waiting, first);
    s->calls[c->op]++;
    store_call_clear(c);
    c->status = carry_out(s, c);
    if (c->status != STORE_OK) snprintf(c->error, sizeof c->error, "the fake store says status %d", (int)c->status);
    store_finish(&s->store, c);
    return true;
}

void fake_store_run(struct fake_store *s)
{
    while (fake_store_step(s)) continue;
}

struct store_call *fake_store_call(enum store_op op, const char *id)
{
    struct store_call *c = store_call_new(op, store_call_free, NULL);
    snprintf(c->job.id, sizeof c->job.id, "%s", id);
    return c;
}

void fake_store_fail(struct fake_store *s, enum store_op op, enum store_status status, unsigned times)
{
    s->faults[op] = (struct fake_fault){.status = status, .times = times};
}

/* A store that has a loop. */

static void on_closed(uv_handle_t *timer)
{
    struct fake_store *s = timer->data;
    void (*closed)(void *data) = s->closed;
    void *data = s->closed_data;
    fake_store_free(s);
    if (closed) closed(data);
}

/* Carries out the calls that wait now, as one group commit. */
static void on_timer(uv_timer_t *timer)
{
    struct fake_store *s = timer->data;
    for (size_t n = s->waiting.n; n > 0 && fake_store_step(s); n--) continue;
    if (s->waiting.n > 0 && !s->held) uv_timer_start(timer, on_timer, s->delay_ms, 0);
}

void fake_store_release_calls(struct fake_store *s)
{
    s->held = false;
    if (s->waiting.n > 0) uv_timer_start(&s->timer, on_timer, 0, 0);
}

static void start(struct store *store, struct store_call *c)
{
    struct fake_store *s = CONTAINER_OF(store, struct fake_store, store);
    list_push_back(&s->waiting, &c->link);
    s->unheld_writes += c->op <= STORE_ACCEPT && !s->is_holding;
    if (!s->loop || s->held || uv_is_active((uv_handle_t *)&s->timer)) return;
    uv_timer_start(&s->timer, on_timer, s->delay_ms, 0);
}

static void hold(struct store *store, bool on)
{
    struct fake_store *s = CONTAINER_OF(store, struct fake_store, store);
    s->holds += on;
    s->is_holding = on;
}

static void close_store(struct store *store, void (*closed)(void *data), void *data)
{
    struct fake_store *s = CONTAINER_OF(store, struct fake_store, store);
    fake_store_run(s);
    s->closed = closed;
    s->closed_data = data;
    if (s->loop) {
        uv_close((uv_handle_t *)&s->timer, on_closed);
        return;
    }
    fake_store_free(s);
    if (closed) closed(data);
}

struct fake_store *fake_store_new(uv_loop_t *loop)
{
    static const struct store_ops ops = {.start = start, .close = close_store, .hold = hold};
    struct fake_store *s = xcalloc(1, sizeof *s);
    *s = (struct fake_store){.store = {&ops}, .now_ms = 1700000000000, .loop = loop};
    list_init(&s->waiting);
    if (!loop) return s;
    uv_timer_init(loop, &s->timer);
    s->timer.data = s;
    return s;
}

void fake_store_free(struct fake_store *s)
{
    if (s->waiting.n > 0) BUG("%zu calls of the store were left", s->waiting.n);
    for (size_t i = 0; i < ARRAY_SIZE(s->told); i++) {
        free(s->told[i].serves);
        free(s->told[i].opens);
    }
    for (size_t i = 0; i < s->job_count; i++) free_job(s->jobs[i]);
    free(s->jobs);
    free(s);
}
