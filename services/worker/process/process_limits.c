/* The timer of a process. The timer checks the time limit of the current item and the memory of the process. */
#include "worker/process/process_internal.h"
#include "worker/system/memory_usage.h"

#define ABANDONED_NS    (100 * NS_PER_MS) /* how long an item may still run after its chunk was abandoned */
#define MEMORY_CHECK_NS (50 * NS_PER_MS)
#define HELD_MS         50 /* time between two checks of a process whose output is not read, see output_gate.h */

/* Returns the run whose time limit applies. While a run is unconfirmed, its last item may still be running. */
static const struct run *timed_run(const struct process *p)
{
    return p->window.unconfirmed ? p->window.unconfirmed : p->window.head;
}

/* Returns when the current item must be answered; UINT64_MAX when there is no limit. */
static uint64_t item_deadline(const struct process *p)
{
    if (p->window.form == FORM_ANY_ORDER) return p->due_ns;
    const struct run *r = timed_run(p);
    if (!r) return UINT64_MAX;
    uint64_t since = p->window.head_since_ns, until = UINT64_MAX;
    if (r->chunk->item_timeout_ns) until = since + r->chunk->item_timeout_ns;
    if (r->chunk->abandoned_ns) {
        uint64_t from = since > r->chunk->abandoned_ns ? since : r->chunk->abandoned_ns;
        if (from + ABANDONED_NS < until) until = from + ABANDONED_NS;
    }
    return until;
}

static uint64_t start_deadline(const struct process *p)
{
    uint64_t limit = p->task->start_timeout_ns;
    return limit ? p->started_ns + limit : UINT64_MAX;
}

static bool over_time(struct process *p, uint64_t now)
{
    struct fault f;
    if (p->state == PROCESS_STARTING && now >= start_deadline(p)) {
        fault_set(&f, ITEM_START_TIMED_OUT, "the process of task %s was not ready after %.3g s (start_timeout_s)",
                  p->task->name, (double)(now - p->started_ns) / (double)NS_PER_S);
    } else if (p->state == PROCESS_ENDING && now >= p->grace_until_ns) {
        fault_set(&f, ITEM_BAD_OUTPUT, "%s", p->grace_cause);
    } else if (p->window.form == FORM_ANY_ORDER) {
        return process_cancel_due(p, now);
    } else if (now >= item_deadline(p)) {
        double limit = (double)timed_run(p)->chunk->item_timeout_ns / (double)NS_PER_S;
        fault_set(&f, ITEM_TIMED_OUT,
                  p->window.unconfirmed ? "the process answered its last item but did not read its input again within "
                                          "%g s"
                                        : "no answer within %g s",
                  limit);
    } else {
        return false;
    }
    process_kill(p, &f);
    return true;
}

/* Returns whether the process's memory must be checked now: while the process loads and while it has items. */
static bool has_to_be_small(const struct process *p)
{
    return p->window.head || p->state == PROCESS_STARTING;
}

static bool over_memory(struct process *p)
{
    uint64_t limit = p->task->memory_bytes;
    if (!limit || !has_to_be_small(p)) return false;
    uint64_t used = memory_usage_of_tree(p->child.pid);
    if (used <= limit) return false;
    struct fault f;
    fault_set(&f, ITEM_OUT_OF_MEMORY, "the process used %llu bytes of memory, more than memory_bytes (%llu)",
              (unsigned long long)used, (unsigned long long)limit);
    process_kill(p, &f);
    return true;
}

/* Returns whether the item's time limit is suspended, because standard error accepts no more lines of the process. */
static bool is_held(const struct process *p)
{
    const struct run *r = timed_run(p);
    return p->held.waits && !(r && r->chunk->abandoned_ns);
}

static void on_timer(uv_timer_t *timer)
{
    struct process *p = timer->data;
    uint64_t now = now_ns();
    if (process_is_lost(p)) return;
    /* The pipe is read first, because the answer may already be in the pipe. */
    if (p->out.open) process_on_readable(&p->out.poll, 0, UV_READABLE);
    if (is_held(p)) {
        if (!over_memory(p)) uv_timer_start(timer, on_timer, HELD_MS, 0);
        return;
    }
    process_try_confirm(p, now);
    if (process_is_lost(p) || over_time(p, now) || over_memory(p)) return;
    if (p->state == PROCESS_STARTING) p->hooks->starting(p);
    process_check_time(p, now);
}

/* Never moves a running timer to a later time: on_timer() checks the time limits again, so quick items need no timer
 * calls. */
void process_check_time(struct process *p, uint64_t now)
{
    if (process_is_lost(p)) return;
    uint64_t until = item_deadline(p);
    if (p->task->memory_bytes && has_to_be_small(p) && now + MEMORY_CHECK_NS < until) until = now + MEMORY_CHECK_NS;
    if (p->state == PROCESS_ENDING && p->grace_until_ns < until) until = p->grace_until_ns;
    if (p->state == PROCESS_STARTING && now + PROCESS_STARTING_NS < until) until = now + PROCESS_STARTING_NS;
    if (p->state == PROCESS_STARTING && start_deadline(p) < until) until = start_deadline(p);
    uint64_t recheck_ns = p->window.unconfirmed ? now + process_confirm_delay(p, now) : UINT64_MAX;
    if (recheck_ns < until) until = recheck_ns;
    if (until == UINT64_MAX) return;
    uint64_t ms = until > now ? (until - now) / NS_PER_MS + 1 : 0;
    if (uv_is_active((const uv_handle_t *)&p->timer) && uv_timer_get_due_in(&p->timer) <= ms) return;
    uv_timer_start(&p->timer, on_timer, ms, 0);
}
