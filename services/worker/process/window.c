#include "worker/process/window.h"

#include "worker/process/window_internal.h"

/* Returns the least value of w->limit. */
static uint64_t least_limit(const struct window *w)
{
    return w->together > 1 ? 2 * (uint64_t)w->together : 1;
}

static size_t max_bytes(const struct window *w)
{
    return w->together > 1 ? WINDOW_BATCH_BYTES : WINDOW_MAX_BYTES;
}

void window_init(struct window *w, enum window_form form, unsigned together)
{
    *w = (struct window){.form = form, .together = together};
    w->limit = least_limit(w);
    buf_init(&w->strays, WINDOW_STRAY_BYTES);
}

void window_release(struct window *w)
{
    hash_release(&w->ids);
    line_queue_release(&w->kept);
    buf_release(&w->strays);
}

/* Returns the estimated time of an item. */
static uint64_t expected_ns(const struct window *w, uint64_t now)
{
    uint64_t running = w->items && now > w->head_since_ns ? now - w->head_since_ns : 0;
    /* Several items may be answered in one batch. So an item counts as slow only after WINDOW_TARGET_NS, which is the
     * time that the items of a full window should take. */
    return running > WINDOW_TARGET_NS ? running : w->item_ns;
}

static uint64_t affordable(const struct window *w, uint64_t now)
{
    uint64_t ns = expected_ns(w, now), n = ns ? WINDOW_TARGET_NS / ns : WINDOW_MAX_ITEMS;
    uint64_t by_answers = w->answer_bytes ? WINDOW_MAX_BYTES / w->answer_bytes : WINDOW_MAX_ITEMS;
    if (n > by_answers) n = by_answers;
    if (n < least_limit(w)) n = least_limit(w);
    return n > WINDOW_MAX_ITEMS ? WINDOW_MAX_ITEMS : n;
}

uint64_t window_room(struct window *w, uint64_t now)
{
    if (w->form == FORM_ANY_ORDER)
        return w->bytes < max_bytes(w) && w->items < w->together ? w->together - w->items : 0;
    if (window_is_checked(w) && w->head) return 0;
    uint64_t limit = affordable(w, now);
    if (limit > w->limit) limit = w->limit;
    if (w->items > limit / 2 || w->bytes >= max_bytes(w)) {
        w->filled = true;
        return 0;
    }
    return limit - w->items;
}

size_t window_room_bytes(const struct window *w)
{
    size_t max = max_bytes(w);
    size_t left = w->bytes < max ? max - w->bytes : 0;
    if (window_is_checked(w)) return left;
    /* A run gets at most half of the bytes that the window may hold. So when the process has finished one run, it
     * already has a second one. */
    return left < max / 2 ? left : max / 2;
}

uint64_t window_min_run(const struct window *w)
{
    uint64_t run_ns = window_is_checked(w) ? WINDOW_CHECKED_RUN_NS : WINDOW_RUN_NS;
    uint64_t n = w->item_ns ? run_ns / w->item_ns : 1;
    return n ? n : 1;
}

static void append(struct window *w, struct run *r)
{
    r->next_given = NULL;
    r->prev_given = w->last;
    *(w->last ? &w->last->next_given : &w->head) = r;
    w->last = r;
}

void window_unlink(struct window *w, struct run *r)
{
    *(r->prev_given ? &r->prev_given->next_given : &w->head) = r->next_given;
    *(r->next_given ? &r->next_given->prev_given : &w->last) = r->prev_given;
    r->next_given = r->prev_given = NULL;
    w->bytes -= r->len;
    if (w->form == FORM_ANY_ORDER) hash_remove(&w->ids, &r->by_id);
}

struct run *window_find(struct window *w, uint64_t id)
{
    struct hash_link *link = hash_find(&w->ids, id, NULL);
    return link ? CONTAINER_OF(link, struct run, by_id) : NULL;
}

void window_push(struct window *w, struct run *r, uint64_t now)
{
    if (!w->head) w->head_since_ns = w->busy_since_ns = now;
    append(w, r);
    r->since_ns = now;
    w->items += r->count;
    w->bytes += r->len;
    w->given += r->count;
    if (w->form == FORM_ANY_ORDER) hash_add(&w->ids, &r->by_id, w->given);
    if (w->items >= w->limit) w->filled = true;
}

struct run *window_pop(struct window *w)
{
    struct run *r = w->head;
    if (!r) return NULL;
    w->items -= r->count - r->answered - (w->unconfirmed ? 0 : w->kept_items);
    window_unlink(w, r);
    return r;
}

void window_remove_last(struct window *w)
{
    struct run *r = w->last;
    window_unlink(w, r);
    w->items -= r->count;
    w->given -= r->count;
}

uint64_t window_index(const struct window *w)
{
    return w->head->first + w->head->answered + (w->unconfirmed ? 0 : w->kept_items);
}

static void forget_kept(struct window *w)
{
    if (w->kept.len) line_queue_release(&w->kept);
    w->kept_items = w->kept_failed = 0;
    w->unconfirmed = NULL;
}

void window_confirm(struct window *w, uint64_t now, void (*progress)(struct chunk *c))
{
    struct run *r = w->unconfirmed;
    struct chunk *c = chunk_ref(r->chunk);
    c->failed += w->kept_failed;
    c->succeeded += r->count - w->kept_failed;
    run_take_answers(r, &w->kept, r->count);
    forget_kept(w);
    if (w->head) w->head_since_ns = w->head->since_ns = now;
    progress(c);
    chunk_unref(c);
}

struct run *window_take_unconfirmed(struct window *w)
{
    struct run *r = w->unconfirmed;
    forget_kept(w);
    return r;
}

void window_learn(struct window *w, uint64_t answers, size_t bytes, uint64_t now)
{
    uint64_t sample = (now > w->head_since_ns ? now - w->head_since_ns : 0) / answers;
    w->item_ns = sample >= w->item_ns ? sample : (w->item_ns + sample) / 2;
    w->answer_bytes = (w->answer_bytes + bytes / answers + 1) / 2;
    w->head_since_ns = now;
    if (w->head) w->head->since_ns = now;
    uint64_t limit = affordable(w, now);
    if (limit < w->limit)
        w->limit = limit;
    else if (w->filled)
        w->limit = w->limit * 2 < limit ? w->limit * 2 : limit;
    w->filled = false;
}
