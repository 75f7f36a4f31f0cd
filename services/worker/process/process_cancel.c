/*
 * For a process that answers in any order: cancels single items that have exceeded their time limit or belong to an
 * abandoned chunk. If the process does not answer a cancelled item soon, the process is killed.
 */
#include "common/observe/log.h"
#include "worker/process/process_internal.h"

/* Returns the time at which the item must be cancelled. If the process has been told to cancel the item, returns the
 * deadline for its answer. UINT64_MAX: never. */
static uint64_t due_of(const struct run *r)
{
    const struct chunk *c = r->chunk;
    if (r->cancelled_ns) return r->cancelled_ns + PROCESS_CANCEL_GRACE_NS;
    if (c->abandoned_ns) return c->abandoned_ns;
    return c->item_timeout_ns ? r->since_ns + c->item_timeout_ns : UINT64_MAX;
}

void process_watch_run(struct process *p, const struct run *r)
{
    uint64_t due_ns = due_of(r);
    if (due_ns < p->due_ns) p->due_ns = due_ns;
}

void process_prolong(struct process *p, uint64_t ns)
{
    if (p->window.form != FORM_ANY_ORDER) return;
    for (struct run *r = p->window.head; r; r = r->next_given) {
        r->since_ns += ns;
        if (r->cancelled_ns) r->cancelled_ns += ns;
    }
}

static double limit_s(const struct run *r)
{
    return (double)r->chunk->item_timeout_ns / (double)NS_PER_S;
}

static void cancel(struct process *p, struct run *r, uint64_t now)
{
    struct chunk *c = r->chunk;
    process_post_cancel(p, r);
    r->cancelled_ns = now;
    log_debug(
        "an item is cancelled", LOG_STR("task", p->task->name), LOG_CHUNK(c), LOG_U64("index", c->base + r->first),
        LOG_STR("error", item_error_name(c->ended ? ITEM_CANCELLED : ITEM_TIMED_OUT)), LOG_I64("pid", p->child.pid));
    if (c->ended) return;
    struct fault f;
    struct buf line = {0};
    fault_set(&f, ITEM_TIMED_OUT, "no answer within %g s", limit_s(r));
    fault_add_line(&line, &f, NULL, p->env->worker_id);
    r->verdict = xstrndup(line.data, line.len);
    buf_release(&line);
}

/* Call it when the process has not cancelled the item r in time. Returns the item that is at fault; NULL: not known.
 * The process may have said which item blocks it. Otherwise, if the process has answered other items since it was told
 * to cancel r, the process as a whole is not stuck, so r is at fault. */
static const struct run *find_culprit(struct process *p, const struct run *r)
{
    const struct run *blocks = window_find(&p->window, p->window.blocked_id);
    return blocks ? blocks : p->window.heard_ns > r->cancelled_ns ? r : NULL;
}

/* Kills the process, because it has not cancelled the item r in time. The fault becomes the error of the culprit. The
 * culprit's chunk may still be running, even if the chunk of r has ended. */
static void kill_disobedient(struct process *p, const struct run *r)
{
    struct fault f;
    p->culprit = find_culprit(p, r);
    if (!r->chunk->ended)
        fault_set(&f, ITEM_TIMED_OUT, "no answer within %g s, and the process did not cancel the item", limit_s(r));
    else if (p->culprit && !p->culprit->chunk->ended)
        fault_set(&f, ITEM_TIMED_OUT, "no answer within %g s, and the item blocked its process", limit_s(p->culprit));
    else
        fault_set(&f, ITEM_CANCELLED, "the process did not cancel the item");
    process_kill(p, &f);
}

bool process_cancel_due(struct process *p, uint64_t now)
{
    if (now < p->due_ns) return false;
    p->due_ns = UINT64_MAX;
    for (struct run *r = p->window.head; r; r = r->next_given) {
        bool is_due = due_of(r) <= now;
        if (is_due && r->cancelled_ns) {
            kill_disobedient(p, r);
            return true;
        }
        if (is_due) cancel(p, r, now);
        process_watch_run(p, r);
    }
    process_write_outbox(p);
    return false;
}

void process_check_chunk(struct process *p, const struct chunk *c, uint64_t now)
{
    const struct run *r = p->window.head;
    if (p->window.form == FORM_ANY_ORDER) {
        for (; r; r = r->next_given)
            if (r->chunk == c) process_watch_run(p, r);
        process_check_time(p, now);
    } else if (r && r->chunk == c) {
        process_check_time(p, now);
    }
}
