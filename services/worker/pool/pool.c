#include "worker/pool/pool.h"

#include "common/observe/log.h"
#include "worker/pool/pool_internal.h"

const char *const pool_loss_names[] = {"crashed",         "timed_out", "out_of_memory", "bad_output",
                                       "start_timed_out", "cancelled", "retired"};
static_assert(ARRAY_SIZE(pool_loss_names) == LOSS_COUNT, "a name for each loss");

static void on_answered(struct process *p);
static void on_lost(struct process *p, struct fault *f);
static void on_starting(struct process *p);
static void on_ready(struct process *p);
const struct process_hooks pool_hooks = {
    .starting = on_starting, .ready = on_ready, .answered = on_answered, .lost = on_lost, .progress = pool_progress};

void pool_wake_at(struct pool *p, uint64_t at_ns)
{
    uint64_t now = now_ns();
    uv_timer_start(&p->timer, pool_on_timer, at_ns > now ? (at_ns - now) / NS_PER_MS + 1 : 0, 0);
}

void pool_on_timer(uv_timer_t *timer)
{
    struct pool *p = timer->data;
    if (p->probe) {
        if (p->probe->state == PROCESS_STARTING) return; /* on_ready() will continue */
        uint64_t until = p->probe->ready_ns + POOL_PROBE_NS;
        if (until > now_ns()) {
            pool_wake_at(p, until); /* the timer fired a little too early */
            return;
        }
        /* The probe got no item and has survived. So the earlier processes were killed by their items. */
        p->probe = NULL;
        p->deaths = 0;
    }
    pool_feed(p);
}

static void on_slot_offered(struct slot_user *slots)
{
    pool_feed(CONTAINER_OF(slots, struct pool, slots));
}

void pool_init(struct pool *p, const struct process_env *env, struct task *task, unsigned size)
{
    *p = (struct pool){.env = env, .task = task_ref(task), .size = size};
    slot_user_init(&p->slots, env->slot_cap, on_slot_offered);
    uv_timer_init(env->loop, &p->timer);
    p->timer.data = p;
}

uint64_t pool_queued(const struct pool *p)
{
    uint64_t n = 0;
    const struct chunk *c = p->turns.at;
    for (unsigned i = 0; i < p->turns.n; i++, c = c->next_turn) n += chunk_available(c);
    return n;
}

unsigned pool_busy_processes(const struct pool *p)
{
    unsigned busy = 0;
    for (const struct process *process = p->processes; process; process = process->next)
        if (process->window.head) busy++;
    return busy;
}

/* Returns how many slots of the process are in use. A process that has items counts as using all its slots, unless it
 * answers in any order and may still get more items. */
static unsigned used_slots(const struct process *process)
{
    const struct window *w = &process->window;
    bool has_room = w->form == FORM_ANY_ORDER && process->state == PROCESS_RUNNING && w->items < w->together;
    return !w->head ? 0 : has_room ? (unsigned)w->items : w->together;
}

unsigned pool_free_slots(const struct pool *p)
{
    unsigned used = 0, all = pool_slots(p);
    for (const struct process *process = p->processes; process; process = process->next) used += used_slots(process);
    return used < all ? all - used : 0;
}

unsigned pool_may_start(const struct pool *p)
{
    uint64_t per_process = task_slots_per_process(p->task), n = 0, queued = pool_queued(p);
    unsigned busy = pool_busy_processes(p), idle = busy < p->size ? p->size - busy : 0;
    n = (idle < slot_cap_free(p->slots.cap) ? idle : slot_cap_free(p->slots.cap)) * per_process;
    for (const struct process *process = p->processes; process; process = process->next)
        if (process->window.head) n += process->window.together - used_slots(process);
    return n > queued ? (unsigned)(n - queued) : 0;
}

unsigned pool_slots(const struct pool *p)
{
    return p->size * task_slots_per_process(p->task);
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
    bool busy = p->candidate;
    for (const struct process *process = p->processes; process && !busy; process = process->next)
        busy = is_busy(process);
    return busy ? now : p->busy_until_ns;
}

/* ---- what happens to a process ---- */

void pool_add_process(struct pool *p, struct process *process)
{
    process->next = p->processes;
    p->processes = process;
    p->count++;
}

/* Returns whether a loading process must be killed, because the last chunk that waited for it ended too long ago. */
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
        pool_say_starting(process->pool, now);
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
    if (process == p->probe) pool_wake_at(p, process->ready_ns + POOL_PROBE_NS);
    pool_feed(p);
}

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
    if (r && r->chunk->ended && w->form != FORM_ANY_ORDER) return LOSS_CANCELLED;
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
    if (p->broken_until_ns > now && p->turns.at) pool_wake_at(p, p->broken_until_ns);
    pool_feed(p);
}

/* ---- chunks ---- */

void pool_submit(struct pool *p, struct chunk *c)
{
    p->turns.in_order = p->task->in_order;
    turns_add(&p->turns, c);
    p->unwanted_ns = 0;
    c->draining = p->draining;
}

static void check_processes_of(struct pool *p, struct chunk *c, uint64_t now)
{
    for (struct process *process = p->processes; process; process = process->next) process_check_chunk(process, c, now);
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
    pool_drop_candidate(p);
    pool_set_task(p, task, size);
    pool_feed(p);
}

void pool_close(struct pool *p, uv_close_cb closed)
{
    p->feeding = true; /* from now on no process is started or gets items */
    struct fault f;
    pool_drop_candidate(p);
    fault_set(&f, ITEM_CANCELLED, "the worker is shut down");
    while (p->processes) process_kill(p->processes, &f);
    while (p->turns.at) turns_remove(&p->turns, p->turns.at);
    slot_user_release(&p->slots);
    buf_release(&p->broken_line);
    free(p->broken_cause);
    buf_release(&p->starts);
    task_unref(p->task);
    p->task = NULL;
    uv_close((uv_handle_t *)&p->timer, closed);
}
