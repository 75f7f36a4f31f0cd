/* Takes back the items of a process that was lost, and bisects them until the item at fault is alone. */
#include "common/observe/log.h"
#include "worker/pool/pool_internal.h"

/* If a process is lost and it is not known which item is at fault, the items of the process are run again in this many
 * parts. If a process is lost again while it has one of these parts, that part is divided again, until the item at
 * fault is alone.
 */
#define BISECT_PARTS 8

/* Returns how many of these items run together from now on. After a time-out, the items run one at a time, because
 * each further time-out would cost the whole time limit of an item. Running many items one at a time costs less. */
static uint64_t part_of(uint64_t items, const struct fault *f)
{
    return f->name == ITEM_TIMED_OUT || items < BISECT_PARTS ? 1 : items / BISECT_PARTS;
}

/* Returns the bisect_limit for the unanswered items of a lost process. The process may have had unwritten answers in a
 * buffer. So if several items are unanswered, it is not known which one is at fault. (The host of mode exec has no
 * buffer.) 0: the current item is at fault. The result is also 0 if the process was killed because of a chunk that had
 * already ended. In this case, no item is at fault. */
static uint64_t bisect_limit_after(const struct process *process, const struct fault *f)
{
    const struct window *w = &process->window;
    bool cancelled = f->name == ITEM_TIMED_OUT && w->head && w->head->chunk->ended;
    bool known = f->in_answer || w->flushed || process->task->mode == TASK_EXEC || w->items <= 1;
    return known || cancelled ? 0 : part_of(w->items, f);
}

/* Answers one item with the fault: item number `at` of the run, counted from the first unanswered item. */
static void charge(struct pool *p, struct process *process, struct run *r, uint64_t at, const struct fault *f)
{
    struct buf line = {0};
    struct chunk *c = r->chunk;
    /* If other items ran at the same time, it is not known which item wrote the end of stderr. */
    fault_add_line(&line, f, process->culprit ? NULL : &process->tail.kept, p->env->worker_id);
    c->failed++;
    log_warn("an item failed, and its process ended", LOG_STR("task", p->task->name), LOG_CHUNK(c),
             LOG_U64("index", c->base + r->first + r->answered + at), LOG_STR("error", item_error_name(f->name)),
             LOG_STRN("cause", f->cause, f->own), LOG_I64("pid", process->child.pid));
    run_return_at(r, at, line.data, line.len);
    buf_release(&line);
}

/* Takes one run back. If `charged` is true, answers item number `at` of the run with the fault. */
static void give_back(struct pool *p, struct process *process, struct run *r, uint64_t at, bool charged,
                      uint64_t bisect_limit, const struct fault *f)
{
    struct chunk *c = chunk_ref(r->chunk);
    if (bisect_limit) r->bisect_limit = bisect_limit;
    if (charged && !c->ended)
        charge(p, process, r, at, f);
    else
        run_return(r, NULL, 0);
    pool_progress(c);
    chunk_unref(c);
}

/* Takes back the runs of a process that answers in any order. If the item at fault is not known, each item is a
 * suspect, unless the process was killed because of a chunk that had already ended. If an item has blocked the
 * process, but has not exceeded its own time limit, this item is the only suspect. But this item is not charged yet,
 * because it may simply need that much time. */
static void take_back_all(struct pool *p, struct process *process, const struct fault *f)
{
    struct window *w = &process->window;
    if (w->items == 1) process->culprit = NULL;
    const struct run *culprit = w->items == 1 ? w->head : process->culprit;
    bool is_sure = culprit && (w->items == 1 || culprit->cancelled_ns);
    uint64_t limit = culprit || f->name == ITEM_CANCELLED ? 0 : part_of(w->items, f);
    for (struct run *r; (r = window_pop(w));) {
        bool is_culprit = r == culprit;
        give_back(p, process, r, 0, is_culprit && is_sure, is_culprit && !is_sure ? 1 : limit, f);
    }
}

void pool_take_back(struct pool *p, struct process *process, const struct fault *f)
{
    if (process->window.form == FORM_ANY_ORDER) {
        take_back_all(p, process, f);
        return;
    }
    struct window *w = &process->window;
    uint64_t at = w->unconfirmed ? 0 : w->kept_items, limit = w->unconfirmed ? 0 : bisect_limit_after(process, f);
    bool charged = !w->unconfirmed && !limit;
    for (struct run *r; (r = window_pop(w)); charged = false, at = 0) give_back(p, process, r, at, charged, limit, f);
    struct run *unconfirmed = window_take_unconfirmed(w);
    if (!unconfirmed) return;
    bool alone = unconfirmed->count == 1;
    give_back(p, process, unconfirmed, 0, alone, alone ? 0 : part_of(unconfirmed->count, f), f);
}
