#include "worker/process/pool.h"

#include "common/observe/log.h"

const char *const pool_loss_names[] = {"crashed", "timed_out", "out_of_memory", "bad_output", "cancelled", "retired"};
static_assert(ARRAY_SIZE(pool_loss_names) == LOSS_COUNT, "a name for each loss");

#define BROKEN_BATCH 1000 /* items failed at once while the task is broken */

static void on_answered(struct process *p);
static void on_lost(struct process *p, struct fault *f);
static void on_progress(struct chunk *c);
static const struct process_hooks hooks = {.answered = on_answered, .lost = on_lost, .progress = on_progress};

static void on_timer(uv_timer_t *timer);

static void wake_at(struct pool *p, uint64_t at_ns)
{
    uint64_t now = now_ns();
    uv_timer_start(&p->timer, on_timer, at_ns > now ? (at_ns - now) / NS_PER_MS + 1 : 0, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct pool *p = timer->data;
    if (p->probe) {
        uint64_t until = p->probe->started_ns + POOL_PROBE_NS;
        if (until > now_ns()) {
            wake_at(p, until); /* timers go by the loop's clock, which may be a little ahead */
            return;
        }
        /* It lives: the deaths were the items' doing. */
        p->probe = NULL;
        p->deaths = 0;
    }
    pool_feed(p);
}

void pool_init(struct pool *p, const struct process_env *env, struct task *task, unsigned size)
{
    *p = (struct pool){.env = env, .task = task_ref(task), .size = size};
    uv_timer_init(env->loop, &p->timer);
    p->timer.data = p;
}

static bool has_work(const struct pool *p)
{
    const struct chunk *c = p->turns.at;
    for (unsigned i = 0; i < p->turns.n; i++, c = c->next_turn)
        if (chunk_available(c)) return true;
    return false;
}

uint64_t pool_queued(const struct pool *p)
{
    uint64_t n = 0;
    const struct chunk *c = p->turns.at;
    for (unsigned i = 0; i < p->turns.n; i++, c = c->next_turn) n += chunk_available(c);
    return n;
}

unsigned pool_free_slots(const struct pool *p)
{
    unsigned busy = 0;
    for (const struct process *process = p->processes; process; process = process->next)
        if (process->window.head) busy++;
    return busy < p->size ? p->size - busy : 0;
}

/* ---- feeding ---- */

/* A chunk is shared out among the processes: none takes more than its part of what is left, unless that is too little
 * work to be worth a run. */
static uint64_t fair_share(const struct pool *p, const struct process *process, const struct chunk *c)
{
    uint64_t share = (chunk_available(c) + 2 * p->size - 1) / (2 * p->size), least = window_min_run(&process->window);
    return share > least ? share : least;
}

/* The chunk whose next run needs care; NULL: none. */
static struct chunk *bisecting_chunk(const struct pool *p)
{
    struct chunk *c = p->turns.at;
    for (unsigned i = 0; i < p->turns.n; i++, c = c->next_turn)
        if (chunk_bisect_limit(c)) return c;
    return NULL;
}

/* Gives an idle process a run that a process died over. A busy one gets nothing: it will soon be idle. */
static void feed_bisecting(struct process *process, struct chunk *c, uint64_t now)
{
    if (process->window.head || process_room(process, now) == 0) return;
    process_give(process, chunk_take(c, chunk_bisect_limit(c), SIZE_MAX), now);
}

/* False when there is nothing left to give. */
static bool feed_process(struct pool *p, struct process *process, uint64_t now)
{
    for (;;) {
        struct chunk *bisecting = bisecting_chunk(p);
        if (bisecting) {
            feed_bisecting(process, bisecting, now);
            return true;
        }
        const struct run *given = process->window.head;
        if (given && (given->bisect_limit || !p->task->idempotent)) return true;
        uint64_t room = process_room(process, now);
        if (room == 0) return true;
        if (!p->task->idempotent) room = 1;
        struct chunk *c = turns_next(&p->turns);
        if (!c) return false;
        uint64_t share = fair_share(p, process, c);
        struct run *r = chunk_take(c, room < share ? room : share, window_room_bytes(&process->window));
        process_give(process, r, now);
    }
}

static void fail_waiting(struct pool *p)
{
    struct chunk *c;
    struct buf lines = {0};
    uint64_t in_lines = 0;
    while ((c = turns_next(&p->turns))) {
        struct run *r = chunk_take(c, BROKEN_BATCH, SIZE_MAX);
        chunk_ref(c);
        for (; in_lines < r->count; in_lines++) buf_add(&lines, p->broken_line.data, p->broken_line.len);
        c->failed += r->count;
        run_answer(r, lines.data, r->count * p->broken_line.len, r->count);
        on_progress(c);
        chunk_unref(c);
    }
    buf_release(&lines);
}

static void set_broken(struct pool *p, const struct fault *f, const struct process *process, uint64_t now)
{
    p->broken_for_ns = p->broken_for_ns ? p->broken_for_ns * 2 : POOL_BROKEN_MIN_NS;
    if (p->broken_for_ns > POOL_BROKEN_MAX_NS) p->broken_for_ns = POOL_BROKEN_MAX_NS;
    p->broken_until_ns = now + p->broken_for_ns;
    p->deaths = POOL_PROBE_AFTER;
    buf_clear(&p->broken_line);
    fault_add_line(&p->broken_line, f, process ? process->tail.kept : "", process ? process->tail.kept_len : 0,
                   p->env->worker_id);
    log_error("a task cannot run: its items fail until the next trial", LOG_STR("task", p->task->name),
              LOG_STRN("cause", f->cause, f->own), LOG_MS("retry_in_ms", p->broken_for_ns));
}

/* True when there is one process more. */
static bool start_one(struct pool *p, uint64_t now)
{
    struct fault f;
    struct process *process = process_start(p->env, p->task, &hooks, p, now, &f);
    if (!process) {
        set_broken(p, &f, NULL, now);
        return false;
    }
    process->next = p->processes;
    p->processes = process;
    p->count++;
    if (p->deaths < POOL_PROBE_AFTER) return true;
    p->probe = process;
    wake_at(p, now + POOL_PROBE_NS);
    return true;
}

/* Idle processes first, then new ones, then more for those that work already. */
static void feed_all(struct pool *p, uint64_t now)
{
    for (struct process *process = p->processes; process; process = process->next)
        if (!process->window.head && process != p->probe && !feed_process(p, process, now)) return;
    while (p->count < p->size && !p->probe && now >= p->broken_until_ns) {
        if (!has_work(p)) return;
        if (!start_one(p, now) || p->probe) break;
        if (!feed_process(p, p->processes, now)) return;
    }
    /* Slow items wait for whoever is free first, once they are fewer than the processes. */
    bool few = pool_queued(p) < p->size;
    for (struct process *process = p->processes; process; process = process->next) {
        if (process == p->probe || (few && process->window.item_ns > NS_PER_MS && process->window.head)) continue;
        if (!feed_process(p, process, now)) return;
    }
}

void pool_feed(struct pool *p)
{
    p->feed_again = true;
    if (p->feeding) return; /* giving may kill, and a death feeds */
    p->feeding = true;
    while (p->feed_again && p->turns.at) {
        p->feed_again = false;
        uint64_t now = now_ns();
        feed_all(p, now);
        if (p->broken_until_ns > now && p->count == 0) fail_waiting(p);
    }
    p->feeding = false;
}

/* ---- ends ---- */

static void on_progress(struct chunk *c)
{
    if (c->on_progress) c->on_progress(c);
}

static void on_answered(struct process *process)
{
    struct pool *p = process->pool;
    p->deaths = 0;
    p->broken_for_ns = 0;
    pool_feed(p);
}

static void list_remove(struct pool *p, struct process *process)
{
    for (struct process **at = &p->processes; *at; at = &(*at)->next) {
        if (*at != process) continue;
        *at = process->next;
        p->count--;
        return;
    }
}

/* Several items that went wrong together, none of which can be blamed, go out again in parts, and in smaller ones where
 * that goes wrong again, until the one at fault is alone. */
#define BISECT_PARTS 8

static uint64_t part_of(uint64_t items)
{
    return items / BISECT_PARTS ? items / BISECT_PARTS : 1;
}

/* A process that died may have kept answers to itself, so with several items unanswered none can be blamed. */
static uint64_t bisect_limit_after(const struct process *process, const struct fault *f)
{
    bool died = f->name == ITEM_CRASHED || f->name == ITEM_OUT_OF_MEMORY;
    return died && process->window.items > 1 ? part_of(process->window.items) : 0;
}

/* The item `at` of a run is charged. */
static void charge(struct pool *p, struct process *process, struct run *r, uint64_t at, const struct fault *f)
{
    struct buf line = {0};
    struct chunk *c = r->chunk;
    fault_add_line(&line, f, process->tail.kept, process->tail.kept_len, p->env->worker_id);
    c->failed++;
    log_warn("an item failed with its process", LOG_STR("task", p->task->name), LOG_CHUNK(c),
             LOG_U64("index", c->base + r->first + r->answered + at), LOG_STR("error", item_error_name(f->name)),
             LOG_STRN("cause", f->cause, f->own), LOG_I64("pid", process->child.pid));
    run_return_at(r, at, line.data, line.len);
    buf_release(&line);
}

static void give_back(struct pool *p, struct process *process, struct run *r, uint64_t at, bool charged,
                      uint64_t bisect_limit, const struct fault *f)
{
    struct chunk *c = chunk_ref(r->chunk);
    if (bisect_limit) r->bisect_limit = bisect_limit;
    if (charged && !c->ended)
        charge(p, process, r, at, f);
    else
        run_return(r, NULL, 0);
    on_progress(c);
    chunk_unref(c);
}

/* The first run's item is charged, unless nobody wants its answer or it may be another's fault; everything else waits
 * again, items whose answers were kept included. With an unconfirmed run it is that one's fault: the next has not
 * begun. */
static void take_runs_back(struct pool *p, struct process *process, const struct fault *f)
{
    struct window *w = &process->window;
    uint64_t at = w->unconfirmed ? 0 : w->kept_items, limit = w->unconfirmed ? 0 : bisect_limit_after(process, f);
    bool charged = !w->unconfirmed && !limit;
    for (struct run *r; (r = window_pop(w)); charged = false, at = 0) give_back(p, process, r, at, charged, limit, f);
    struct run *unconfirmed = window_take_unconfirmed(w);
    if (!unconfirmed) return;
    bool alone = unconfirmed->count == 1;
    give_back(p, process, unconfirmed, 0, alone, alone ? 0 : part_of(unconfirmed->count), f);
}

static enum pool_loss loss_of(const struct process *process, const struct fault *f)
{
    const struct window *w = &process->window;
    const struct run *r = w->unconfirmed ? w->unconfirmed : w->head;
    if (!r && process->retired) return LOSS_RETIRED;
    if (r && r->chunk->ended) return LOSS_CANCELLED;
    switch (f->name) {
    case ITEM_TIMED_OUT: return LOSS_TIMED_OUT;
    case ITEM_OUT_OF_MEMORY: return LOSS_OUT_OF_MEMORY;
    case ITEM_BAD_OUTPUT: return LOSS_BAD_OUTPUT;
    default: return LOSS_CRASHED;
    }
}

static void on_lost(struct process *process, struct fault *f)
{
    struct pool *p = process->pool;
    uint64_t now = now_ns();
    enum pool_loss loss = loss_of(process, f);
    bool was_probe = p->probe == process, had_item = process->window.head || process->window.unconfirmed,
         expected = loss == LOSS_RETIRED || loss == LOSS_CANCELLED;
    p->losses[loss]++;
    if (p->loss_counters[loss]) *p->loss_counters[loss] += 1;
    list_remove(p, process);
    if (was_probe) p->probe = NULL;
    take_runs_back(p, process, f);
    if (!expected && process->window.answered == 0 && process->task == p->task) {
        p->deaths++;
        if (!had_item && (was_probe || p->deaths >= POOL_PROBE_AFTER)) set_broken(p, f, process, now);
    }
    if (p->broken_until_ns > now && p->turns.at) wake_at(p, p->broken_until_ns);
    pool_feed(p);
}

/* ---- chunks ---- */

void pool_submit(struct pool *p, struct chunk *c)
{
    turns_add(&p->turns, c);
    c->draining = p->draining;
}

static void check_processes_of(struct pool *p, struct chunk *c, uint64_t now)
{
    /* A kill changes the list: start over after each. */
    for (struct process *process = p->processes, *next; process; process = next) {
        next = process->next;
        if (process->window.head && process->window.head->chunk == c) process_check_time(process, now);
    }
}

void pool_forget(struct pool *p, struct chunk *c, uint64_t now)
{
    if (!c->abandoned_ns) c->abandoned_ns = now;
    chunk_ref(c);
    turns_remove(&p->turns, c);
    if (c->given) check_processes_of(p, c, now);
    chunk_unref(c);
}

void pool_cancel(struct pool *p, struct chunk *c)
{
    uint64_t now = now_ns();
    chunk_abandon(c, now);
    pool_forget(p, c, now);
}

void pool_drain(struct pool *p)
{
    p->draining = true;
    struct chunk *c = p->turns.at;
    for (unsigned i = 0, n = p->turns.n; i < n; i++) {
        struct chunk *next = c->next_turn;
        c->draining = true;
        chunk_settle(c);
        on_progress(c);
        c = next;
    }
}

void pool_cut(struct pool *p)
{
    struct fault f;
    fault_set(&f, ITEM_WORKER_LOST, "the worker ended before the item did");
    p->feeding = true;
    if (p->task->idempotent) return;
    for (struct process *process = p->processes, *next; process; process = next) {
        next = process->next;
        if (process->window.head) process_kill(process, &f);
    }
}

void pool_reload(struct pool *p, struct task *task, unsigned size)
{
    task_ref(task);
    task_unref(p->task);
    p->task = task;
    p->size = size;
    p->deaths = 0;
    p->broken_until_ns = p->broken_for_ns = 0;
    p->probe = NULL;
    for (struct process *process = p->processes; process; process = process->next) process_retire(process);
    pool_feed(p);
}

void pool_close(struct pool *p, uv_close_cb closed)
{
    p->feeding = true; /* no replacements */
    struct fault f;
    fault_set(&f, ITEM_CANCELLED, "the worker ends");
    while (p->processes) process_kill(p->processes, &f);
    while (p->turns.at) turns_remove(&p->turns, p->turns.at);
    buf_release(&p->broken_line);
    task_unref(p->task);
    p->task = NULL;
    uv_close((uv_handle_t *)&p->timer, closed);
}
