/* Gives the items of the chunks to the processes, and starts a process when there is work for it. */
#include "worker/pool/pool_internal.h"

/* Returns the maximum number of items of the chunk that this process may take, so that the other processes get items
 * too. If the items start in their order, each run has one item, because process_recall() takes a whole run. Otherwise,
 * a run always has enough items to justify the cost of a run. A process that takes batches gets a whole batch, unless
 * there are too few items to give every process a whole batch. */
static uint64_t fair_share(const struct pool *p, const struct process *process, const struct chunk *c)
{
    uint64_t available = chunk_available(c), share = (available + 2 * p->size - 1) / (2 * p->size);
    uint64_t least = window_min_run(&process->window), batch = (available + p->size - 1) / p->size;
    if (p->task->in_order) return 1;
    if (p->size == 1) return available;
    if (batch > process->window.together) batch = process->window.together;
    if (least < batch) least = batch;
    return share > least ? share : least;
}

/* Returns how many items the process may hold while `queued` items wait. If the items start in their order, a process
 * holds one item besides the one that it runs. Otherwise, the fewer items are waiting, the fewer items a process may
 * hold. Without this rule, one process could still have items when the other processes have none left. But
 * a process may always hold as many items as one run should have. */
static uint64_t fair_hold(const struct pool *p, const struct process *process, uint64_t queued)
{
    uint64_t share = (queued + 2 * p->size - 1) / (2 * p->size), least = window_min_run(&process->window);
    if (p->task->in_order) return 2;
    if (p->size == 1 || process->window.together > 1) return UINT64_MAX;
    return share > least ? share : least;
}

/* Returns whether a process of the pool has no items, or another process can be started. */
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

/* If the process is idle, gives it a run with a bisect_limit. A busy process does not get such a run until it is
 * idle. */
static void feed_bisecting(struct process *process, struct chunk *c, uint64_t now)
{
    if (process->window.head || process_room(process, now) == 0) return;
    process_give(process, chunk_take(c, chunk_bisect_limit(c), SIZE_MAX), now);
}

/* ---- items that start in their order ---- */

/* A longer item waits until a process is idle. A run can be taken back only if all its bytes fit into the socket. */
#define RECALLED_BYTES (64 * KIB)

/* Returns how many more processes could begin, or at least hold, another item: those that are idle and, in *busy, those
 * that run their only item. */
static unsigned count_takers(struct pool *p, unsigned *busy, uint64_t now)
{
    unsigned idle = 0;
    *busy = 0;
    for (struct process *process = p->processes; process; process = process->next) {
        if (process == p->probe || process->window.items > 1 || process_room(process, now) == 0) continue;
        *(process->window.head ? busy : &idle) += 1;
    }
    return idle;
}

/* Returns the process that holds a waiting item and has run its present one since the earliest time from `first_ns` to
 * `latest_ns`. NULL: there is none. */
static struct process *longest_running(const struct pool *p, uint64_t first_ns, uint64_t latest_ns)
{
    struct process *found = NULL;
    for (struct process *process = p->processes; process; process = process->next) {
        uint64_t since_ns = process->window.head_since_ns;
        if (process->window.items < 2 || since_ns < first_ns || since_ns > latest_ns) continue;
        if (!found || since_ns < found->window.head_since_ns) found = process;
    }
    return found;
}

/* Takes back an item that waits behind one that has run since `latest_ns` or earlier. Begins with the item that has run
 * for longest. Returns false if no item can be taken back. */
static bool recall_one(const struct pool *p, uint64_t latest_ns)
{
    uint64_t first_ns = 0;
    for (struct process *from; (from = longest_running(p, first_ns, latest_ns));) {
        if (process_recall(from)) return true;
        first_ns = from->window.head_since_ns + 1;
    }
    return false;
}

/* A process may hold one item besides the one that it runs, and this item must not wait for a slow one while another
 * process could run it. So takes such items back for idle processes. If the item that runs is slow, also takes them
 * back for processes that soon begin their next item. */
static void recall_items(struct pool *p, uint64_t now)
{
    unsigned busy, idle = count_takers(p, &busy, now);
    uint64_t slow_ns = now > WINDOW_TARGET_NS ? now - WINDOW_TARGET_NS : 0;
    while (idle && recall_one(p, now)) idle--;
    while (busy && recall_one(p, slow_ns)) busy--;
}

/* ---- processes that answer in any order ---- */

/* Gives the process the next item of the chunk. If there is no memory for the item, the item fails. */
static void give_one(struct pool *p, struct process *process, struct chunk *c, uint64_t now)
{
    struct run *r = chunk_take(c, 1, SIZE_MAX);
    if (process_has_memory(process, r)) {
        process_give(process, r, now);
        return;
    }
    struct fault f;
    struct buf line = {0};
    fault_set(&f, ITEM_OUT_OF_MEMORY, "the worker has reached its memory limit, and the item needs more memory");
    fault_add_line(&line, &f, NULL, p->env->worker_id);
    c->failed++;
    run_return(r, line.data, line.len);
    buf_release(&line);
    pool_progress(c);
}

/* If the process is idle, gives it some of the suspects. One of the suspects is the item at fault. */
static void give_suspects(struct pool *p, struct process *process, struct chunk *c, uint64_t now)
{
    uint64_t limit = UINT64_MAX;
    if (process->window.head) return;
    for (uint64_t n = 0; c && process_room(process, now); n++, c = bisecting_chunk(p)) {
        if (chunk_bisect_limit(c) < limit) limit = chunk_bisect_limit(c);
        if (n >= limit) return;
        give_one(p, process, c, now);
    }
}

#define LONG_START_NS NS_PER_S /* items do not wait for a process that has been starting for longer */
#define TURN_SHARE    16       /* a turn of a chunk has one item, plus one for every TURN_SHARE slots */

/* Returns how many items this process may get now, so that all processes have about the same number. */
static uint64_t even_room(const struct pool *p, struct process *process, uint64_t now)
{
    uint64_t room = process_room(process, now), items = pool_queued(p), sharers = p->size;
    for (const struct process *other = p->processes; other; other = other->next) {
        items += other->window.items;
        bool starts_long = other->state == PROCESS_STARTING && now > other->started_ns + LONG_START_NS;
        if (starts_long && sharers > 1) sharers--;
    }
    uint64_t share = (items + sharers - 1) / sharers, given = process->window.items;
    uint64_t left = share > given ? share - given : 0;
    return room < left ? room : left;
}

/* Gives the process items of the chunks in turn. Returns false when no items are left. */
static bool give_in_turn(struct pool *p, struct process *process, uint64_t now)
{
    uint64_t room = even_room(p, process, now), turn = 1 + process->window.together / TURN_SHARE;
    while (room) {
        struct chunk *c = turns_next(&p->turns);
        if (!c) return false;
        for (uint64_t n = 0; n < turn && room && chunk_available(c) && process_room(process, now); n++, room--)
            give_one(p, process, c, now);
        if (process_room(process, now) == 0) return true;
    }
    return true;
}

static bool feed_in_any_order(struct pool *p, struct process *process, uint64_t now)
{
    struct chunk *suspects = bisecting_chunk(p);
    const struct run *given = process->window.head;
    bool more = true;
    if (suspects)
        give_suspects(p, process, suspects, now);
    else if (!given || !given->bisect_limit)
        more = give_in_turn(p, process, now);
    process_flush(process);
    return more;
}

/* ---- all processes ---- */

/* Returns how many more items the process may get while `queued` items wait. */
static uint64_t room_of(const struct pool *p, struct process *process, uint64_t queued, uint64_t now)
{
    const struct run *given = process->window.head;
    if (given && (given->bisect_limit || p->task->idempotent == IDEMPOTENCY_NO)) return 0;
    if (given && (process->window.together > 1 || p->task->in_order) && has_idle(p)) return 0;
    uint64_t room = process_room(process, now), hold = fair_hold(p, process, queued), held = process->window.items;
    if (room == 0 || held >= hold) return 0;
    if (p->task->idempotent == IDEMPOTENCY_NO) return 1;
    return room < hold - held ? room : hold - held;
}

/* Gives the process as many items as it may take. Returns false when no items are left. */
static bool feed_process(struct pool *p, struct process *process, uint64_t now)
{
    if (process->window.form == FORM_ANY_ORDER) return feed_in_any_order(p, process, now);
    for (;;) {
        struct chunk *bisecting = bisecting_chunk(p);
        if (bisecting) {
            feed_bisecting(process, bisecting, now);
            return true;
        }
        uint64_t queued = pool_queued(p), room = room_of(p, process, queued, now);
        if (queued == 0) return false;
        if (room == 0) return true;
        struct chunk *c = turns_next(&p->turns);
        if (!c) return false;
        uint64_t share = fair_share(p, process, c);
        struct run *r = chunk_take(c, room < share ? room : share, window_room_bytes(&process->window));
        if (p->task->in_order && process->window.head && r->len > RECALLED_BYTES) {
            run_return(r, NULL, 0);
            return true;
        }
        process_give(process, r, now);
    }
}

/* Starts a process. If the start fails, marks the task as broken and returns false. */
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
    pool_wake_at(p, now + POOL_PROBE_NS);
    return true;
}

static bool has_work(const struct pool *p)
{
    const struct chunk *c = p->turns.at;
    for (unsigned i = 0; i < p->turns.n; i++, c = c->next_turn)
        if (chunk_available(c)) return true;
    return false;
}

/* Returns whether the process may get items now without exceeding the worker's cap on processes that run items. */
static bool may_feed(struct pool *p, const struct process *process)
{
    if (!p->slots.cap) return true;
    if (process->window.head) return slot_user_may_keep(&p->slots);
    slot_user_set(&p->slots, pool_busy_processes(p));
    return has_work(p) && slot_user_may_take(&p->slots);
}

/* First gives items to idle processes, then starts new processes, then gives more items to busy ones. */
static void feed_all(struct pool *p, uint64_t now)
{
    if (p->task->in_order) recall_items(p, now);
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
    /* If items are slow and fewer items are waiting than there are processes, the items wait until a process is
     * idle. */
    bool few = pool_queued(p) < p->size;
    for (struct process *process = p->processes; process; process = process->next) {
        if (process == p->probe || (few && process->window.item_ns > NS_PER_MS && process->window.head)) continue;
        if (may_feed(p, process) && !feed_process(p, process, now)) return;
    }
}

void pool_say_starting(struct pool *p, uint64_t now)
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

/* Fails waiting items, because the task is broken. Returns false if more items wait for a later turn of the loop. Many
 * requests may call pool_feed() in one turn. So if a call has not failed all waiting items, further calls fail no
 * items until uv_now() has changed. It changes once or twice in a turn. */
static bool fail_some(struct pool *p)
{
    uint64_t turn_ms = uv_now(p->timer.loop);
    if (turn_ms != p->failed_ms && pool_fail_waiting(p)) return true;
    p->failed_ms = turn_ms;
    uv_timer_start(&p->timer, pool_on_timer, 1, 0); /* a timer of 0 ms could fire again in this turn */
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
        pool_say_starting(p, now);
    }
    p->feeding = false;
    slot_user_set(&p->slots, pool_busy_processes(p));
    slot_cap_offer(p->slots.cap);
}
