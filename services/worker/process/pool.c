#include "worker/process/pool.h"

#include "common/observe/log.h"
#include "worker/process/pool_internal.h"

const char *const pool_loss_names[] = {"crashed",         "timed_out", "out_of_memory", "bad_output",
                                       "start_timed_out", "cancelled", "retired"};
static_assert(ARRAY_SIZE(pool_loss_names) == LOSS_COUNT, "a name for each loss");

static void on_answered(struct process *p);
static void on_lost(struct process *p, struct fault *f);
static void on_starting(struct process *p);
static void on_ready(struct process *p);
const struct process_hooks pool_hooks = {
    .starting = on_starting, .ready = on_ready, .answered = on_answered, .lost = on_lost, .progress = pool_progress};

static void on_timer(uv_timer_t *timer);
static void on_slot_offered(struct slot_user *slots);

static void wake_at(struct pool *p, uint64_t at_ns)
{
    uint64_t now = now_ns();
    uv_timer_start(&p->timer, on_timer, at_ns > now ? (at_ns - now) / NS_PER_MS + 1 : 0, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct pool *p = timer->data;
    if (p->probe) {
        if (p->probe->state == PROCESS_STARTING) return; /* on_ready() will continue */
        uint64_t until = p->probe->ready_ns + POOL_PROBE_NS;
        if (until > now_ns()) {
            wake_at(p, until); /* the timer fired a little too early */
            return;
        }
        /* The probe got no item and has survived. So the items killed the earlier processes. */
        p->probe = NULL;
        p->deaths = 0;
    }
    pool_feed(p);
}

void pool_init(struct pool *p, const struct process_env *env, struct task *task, unsigned size)
{
    *p = (struct pool){.env = env, .task = task_ref(task), .size = size};
    slot_user_init(&p->slots, env->slot_cap, on_slot_offered);
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

static unsigned busy_processes(const struct pool *p)
{
    unsigned busy = 0;
    for (const struct process *process = p->processes; process; process = process->next)
        if (process->window.head) busy++;
    return busy;
}

unsigned pool_free_slots(const struct pool *p)
{
    unsigned busy = busy_processes(p);
    return busy < p->size ? (p->size - busy) * p->task->batch : 0;
}

unsigned pool_slots(const struct pool *p)
{
    return p->size * p->task->batch;
}

unsigned pool_starting(const struct pool *p)
{
    unsigned n = 0;
    for (const struct process *process = p->processes; process; process = process->next)
        n += process->state == PROCESS_STARTING;
    return n;
}

static bool is_busy(const struct process *process)
{
    return process->state != PROCESS_RUNNING || process->window.head || process->window.unconfirmed;
}

uint64_t pool_busy_until(const struct pool *p, uint64_t now)
{
    bool busy = p->trial;
    for (const struct process *process = p->processes; process && !busy; process = process->next)
        busy = is_busy(process);
    return busy ? now : p->busy_until_ns;
}

/* ---- feeding ---- */

/* Returns the maximum number of items of the chunk that this process may take now. This leaves items for the other
 * processes. But a run always has enough items to be worth its cost, and a process that takes batches gets a whole
 * batch, unless there are too few items for a batch on each process. */
static uint64_t fair_share(const struct pool *p, const struct process *process, const struct chunk *c)
{
    uint64_t available = chunk_available(c), share = (available + 2 * p->size - 1) / (2 * p->size);
    uint64_t least = window_min_run(&process->window), batch = (available + p->size - 1) / p->size;
    if (batch > process->window.together) batch = process->window.together;
    if (least < batch) least = batch;
    return share > least ? share : least;
}

/* Returns whether a process of the pool has no items, or could still be started. */
static bool has_idle(const struct pool *p)
{
    for (const struct process *process = p->processes; process; process = process->next)
        if (process->state == PROCESS_RUNNING && !process->window.head && process != p->probe) return true;
    return p->count < p->size;
}

/* Returns a chunk whose next run has a bisect_limit; NULL when there is none. */
static struct chunk *bisecting_chunk(const struct pool *p)
{
    struct chunk *c = p->turns.at;
    for (unsigned i = 0; i < p->turns.n; i++, c = c->next_turn)
        if (chunk_bisect_limit(c)) return c;
    return NULL;
}

/* If the process is idle, gives it a run with a bisect_limit. A busy process gets no run until it is idle. */
static void feed_bisecting(struct process *process, struct chunk *c, uint64_t now)
{
    if (process->window.head || process_room(process, now) == 0) return;
    process_give(process, chunk_take(c, chunk_bisect_limit(c), SIZE_MAX), now);
}

/* Gives the process as many items as it can take. Returns false when no items are left. */
static bool feed_process(struct pool *p, struct process *process, uint64_t now)
{
    for (;;) {
        struct chunk *bisecting = bisecting_chunk(p);
        if (bisecting) {
            feed_bisecting(process, bisecting, now);
            return true;
        }
        const struct run *given = process->window.head;
        if (given && (given->bisect_limit || p->task->idempotent == IDEMPOTENCY_NO)) return true;
        if (given && process->window.together > 1 && has_idle(p)) return true;
        uint64_t room = process_room(process, now);
        if (room == 0) return true;
        if (p->task->idempotent == IDEMPOTENCY_NO) room = 1;
        struct chunk *c = turns_next(&p->turns);
        if (!c) return false;
        uint64_t share = fair_share(p, process, c);
        struct run *r = chunk_take(c, room < share ? room : share, window_room_bytes(&process->window));
        process_give(process, r, now);
    }
}

void pool_add_process(struct pool *p, struct process *process)
{
    process->next = p->processes;
    p->processes = process;
    p->count++;
}

/* Starts a process. If that fails, marks the task as broken and returns false. */
static bool start_one(struct pool *p, uint64_t now)
{
    struct fault f;
    struct process *process = process_start(p->env, p->task, &pool_hooks, p, now, &f);
    if (!process) {
        p->failed_starts++;
        pool_set_broken(p, &f, NULL, now);
        return false;
    }
    if (process->state == PROCESS_STARTING) tail_start(&process->tail, &p->starts);
    pool_add_process(p, process);
    if (p->deaths < POOL_PROBE_AFTER) return true;
    p->probe = process;
    wake_at(p, now + POOL_PROBE_NS);
    return true;
}

/* Returns whether the process may get items now, so that no more processes run items than the worker's cap allows. */
static bool may_feed(struct pool *p, const struct process *process)
{
    if (!p->slots.cap) return true;
    if (process->window.head) return slot_user_may_keep(&p->slots);
    slot_user_set(&p->slots, busy_processes(p));
    return has_work(p) && slot_user_may_take(&p->slots);
}

/* First gives items to idle processes, then starts new processes, then gives more items to busy ones. */
static void feed_all(struct pool *p, uint64_t now)
{
    for (struct process *process = p->processes; process; process = process->next)
        if (!process->window.head && process != p->probe && may_feed(p, process) && !feed_process(p, process, now))
            return;
    while (p->count < p->size && !p->probe && now >= p->broken_until_ns) {
        if (!has_work(p)) return;
        /* A process that is starting will take at least one item. */
        unsigned starting = pool_starting(p);
        if (starting && pool_queued(p) <= starting) break;
        if (!start_one(p, now) || p->probe || !may_feed(p, p->processes)) break;
        if (!feed_process(p, p->processes, now)) return;
    }
    /* When items are slow and fewer items than processes are left, the items wait until a process is idle. */
    bool few = pool_queued(p) < p->size;
    for (struct process *process = p->processes; process; process = process->next) {
        if (process == p->probe || (few && process->window.item_ns > NS_PER_MS && process->window.head)) continue;
        if (may_feed(p, process) && !feed_process(p, process, now)) return;
    }
}

/* Tells each chunk without a running item that processes are starting. */
static void tell_starting(struct pool *p, uint64_t now)
{
    unsigned starting = pool_starting(p);
    if (starting == 0) return;
    struct chunk *c = p->turns.at;
    for (unsigned i = 0, n = p->turns.n; i < n; i++) {
        struct chunk *next = c->next_turn;
        bool waits = !c->given && chunk_available(c);
        if (waits && (!c->starting_said_ns || now - c->starting_said_ns >= PROCESS_STARTING_NS / 2)) {
            c->starting_said_ns = now;
            chunk_say_starting(c, starting);
            pool_progress(c);
        }
        c = next;
    }
}

/* Returns whether a process that is loading is to be killed, because no chunk has waited for it for too long. */
static bool is_unwanted(const struct process *process, uint64_t now)
{
    uint64_t since = ((const struct pool *)process->pool)->unwanted_ns;
    if (!since) return false;
    uint64_t loaded = since > process->started_ns ? since - process->started_ns : 0;
    return now - since >= (loaded > POOL_UNWANTED_NS ? loaded : POOL_UNWANTED_NS);
}

static void on_starting(struct process *process)
{
    uint64_t now = now_ns();
    struct fault f;
    if (!is_unwanted(process, now)) {
        tell_starting(process->pool, now);
        return;
    }
    log_info("killing a process that is still loading, because no job waits for its task",
             LOG_STR("task", process->task->name), LOG_I64("pid", process->child.pid),
             LOG_MS("duration_ms", now - process->started_ns));
    fault_set(&f, ITEM_CANCELLED, "no job waits for the task");
    process_kill(process, &f);
}

static void on_ready(struct process *process)
{
    struct pool *p = process->pool;
    p->busy_until_ns = process->ready_ns;
    if (process == p->probe) wake_at(p, process->ready_ns + POOL_PROBE_NS);
    pool_feed(p);
}

/* Fails items that wait, because the task is broken. Returns false if more items wait for a later turn of the loop.
 * Many requests may call pool_feed() in one turn. So items are failed at most once per value of uv_now(), which changes
 * once or twice in a turn. */
static bool fail_some(struct pool *p)
{
    uint64_t turn_ms = uv_now(p->timer.loop);
    if (turn_ms != p->failed_ms && pool_fail_waiting(p)) return true;
    p->failed_ms = turn_ms;
    uv_timer_start(&p->timer, on_timer, 1, 0); /* a timer of 0 ms could fire again in this turn */
    return false;
}

void pool_feed(struct pool *p)
{
    p->feed_again = true;
    if (p->feeding) return; /* a recursive call: giving a run may kill a process, and on_lost() calls pool_feed() */
    p->feeding = true;
    while (p->feed_again && p->turns.at) {
        p->feed_again = false;
        uint64_t now = now_ns();
        feed_all(p, now);
        if (p->broken_until_ns > now && p->count == 0 && !fail_some(p)) break;
        tell_starting(p, now);
    }
    p->feeding = false;
    slot_user_set(&p->slots, busy_processes(p));
    slot_cap_offer(p->slots.cap);
}

static void on_slot_offered(struct slot_user *slots)
{
    pool_feed(CONTAINER_OF(slots, struct pool, slots));
}

/* ---- the end of a process ---- */

static void on_answered(struct process *process)
{
    struct pool *p = process->pool;
    p->busy_until_ns = now_ns();
    if (p->failed_starts) pool_forget_failures(p);
    p->deaths = 0;
    pool_feed(p);
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
    case ITEM_START_TIMED_OUT: return LOSS_START_TIMED_OUT;
    case ITEM_CANCELLED: return LOSS_CANCELLED;
    default: return LOSS_CRASHED;
    }
}

static void remove_process(struct pool *p, struct process *process)
{
    for (struct process **at = &p->processes; *at; at = &(*at)->next) {
        if (*at != process) continue;
        *at = process->next;
        p->count--;
        return;
    }
}

static void on_lost(struct process *process, struct fault *f)
{
    struct pool *p = process->pool;
    uint64_t now = now_ns();
    enum pool_loss loss = loss_of(process, f);
    bool was_probe = p->probe == process, had_item = process->window.head || process->window.unconfirmed,
         expected = loss == LOSS_RETIRED || loss == LOSS_CANCELLED;
    p->busy_until_ns = now;
    p->losses[loss]++;
    if (p->loss_counters[loss]) *p->loss_counters[loss] += 1;
    remove_process(p, process);
    if (was_probe) p->probe = NULL;
    pool_take_back(p, process, f);
    if (!expected && process->window.answered == 0 && process->task == p->task) {
        p->deaths++;
        p->failed_starts += !had_item;
        bool hopeless = was_probe || f->name == ITEM_START_TIMED_OUT; /* another process would also start too slowly */
        if (!had_item && (hopeless || p->deaths >= POOL_PROBE_AFTER)) pool_set_broken(p, f, process, now);
    }
    if (p->broken_until_ns > now && p->turns.at) wake_at(p, p->broken_until_ns);
    pool_feed(p);
}

/* ---- chunks ---- */

void pool_submit(struct pool *p, struct chunk *c)
{
    turns_add(&p->turns, c);
    p->unwanted_ns = 0;
    c->draining = p->draining;
}

static void check_processes_of(struct pool *p, struct chunk *c, uint64_t now)
{
    /* A kill removes the process from the list, so `next` is read first. */
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
    if (!p->turns.at && !p->unwanted_ns) p->unwanted_ns = now;
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
        pool_progress(c);
        c = next;
    }
}

void pool_cut(struct pool *p)
{
    struct fault f;
    fault_set(&f, ITEM_WORKER_LOST, "the worker was shut down before the item was answered");
    p->feeding = true; /* from now on no items are given to processes */
    if (p->task->idempotent != IDEMPOTENCY_NO) return;
    for (struct process *process = p->processes, *next; process; process = next) {
        next = process->next;
        if (process->window.head) process_kill(process, &f);
    }
}

void pool_set_task(struct pool *p, struct task *task, unsigned size)
{
    task_ref(task);
    task_unref(p->task);
    p->task = task;
    p->size = size;
    pool_forget_failures(p);
    p->broken_until_ns = 0;
    buf_clear(&p->starts);
    p->probe = NULL;
    for (struct process *process = p->processes; process; process = process->next) process_retire(process);
}

void pool_reload(struct pool *p, struct task *task, unsigned size)
{
    pool_drop_trial(p);
    pool_set_task(p, task, size);
    pool_feed(p);
}

void pool_close(struct pool *p, uv_close_cb closed)
{
    p->feeding = true; /* from now on no process is started or gets items */
    struct fault f;
    pool_drop_trial(p);
    fault_set(&f, ITEM_CANCELLED, "the worker is shut down");
    while (p->processes) process_kill(p->processes, &f);
    while (p->turns.at) turns_remove(&p->turns, p->turns.at);
    slot_user_release(&p->slots);
    buf_release(&p->broken_line);
    buf_release(&p->starts);
    task_unref(p->task);
    p->task = NULL;
    uv_close((uv_handle_t *)&p->timer, closed);
}
