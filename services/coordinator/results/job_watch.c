#include "coordinator/results/job_watch.h"

enum { TICK_MS = 100 };

/* Returns the watch after `w`, or the first one when `w` is NULL. Returns NULL at the end. */
static struct job_watch *next_watch(const struct job_watches *l, const struct job_watch *w)
{
    struct list_link *next = list_next(&l->all, w ? &w->link : NULL);
    return next ? CONTAINER_OF(next, struct job_watch, link) : NULL;
}

static void tick(uv_timer_t *timer)
{
    struct job_watches *l = timer->data;
    uint64_t now = now_ns();
    for (struct job_watch *w = next_watch(l, NULL), *after; w; w = after) {
        after = next_watch(l, w);
        w->ops->tick(w->owner, now);
    }
}

void job_watches_start(struct job_watches *l, uv_loop_t *loop)
{
    list_init(&l->all);
    read_gate_init(&l->gate);
    uv_timer_init(loop, &l->timer);
    l->timer.data = l;
}

void job_watches_poke(struct job_watches *l, const char *id)
{
    for (struct job_watch *w = next_watch(l, NULL), *after; w; w = after) {
        after = next_watch(l, w);
        if (strcmp(w->id, id) == 0) w->ops->poke(w->owner);
    }
}

void job_watches_give(struct job_watches *l, const struct store_call *read)
{
    for (struct job_watch *w = next_watch(l, NULL), *after; w; w = after) {
        after = next_watch(l, w);
        if (w->ops->give && strcmp(w->id, read->found.id) == 0) w->ops->give(w->owner, read);
    }
}

void job_watches_drain(struct job_watches *l)
{
    l->draining = true;
    for (struct job_watch *w = next_watch(l, NULL), *after; w; w = after) {
        after = next_watch(l, w);
        w->ops->drain(w->owner);
    }
}

void job_watches_stop(struct job_watches *l)
{
    if (l->all.n > 0) BUG("%zu requests still watch jobs", l->all.n);
    uv_close((uv_handle_t *)&l->timer, NULL);
}

size_t job_watches_count(const struct job_watches *l)
{
    return l->all.n;
}

void job_watch_add(struct job_watch *w, struct job_watches *l, const char *id, const struct job_watch_ops *ops,
                   void *owner)
{
    *w = (struct job_watch){.list = l, .ops = ops, .owner = owner};
    snprintf(w->id, sizeof w->id, "%s", id);
    list_push_back(&l->all, &w->link);
    if (l->all.n == 1) uv_timer_start(&l->timer, tick, TICK_MS, TICK_MS);
}

void job_watch_remove(struct job_watch *w)
{
    list_remove(&w->list->all, &w->link);
    if (w->list->all.n == 0) uv_timer_stop(&w->list->timer);
}
