#include "worker/chunk/turns.h"

static bool same_job(const struct chunk *a, const struct chunk *b)
{
    size_t len = strcspn(a->name, "/");
    return a == b || (len > 0 && strncmp(a->name, b->name, len) == 0 && (b->name[len] == '/' || b->name[len] == '\0'));
}

void turns_add(struct turns *t, struct chunk *c)
{
    chunk_ref(c);
    c->job_turn = c->turn = 0;
    if (!t->at) {
        c->next_turn = c->prev_turn = c;
        t->at = c;
    } else {
        for (struct chunk *other = t->at; c->job_turn == 0; other = other->next_turn) {
            if (same_job(c, other)) c->job_turn = other->job_turn;
            if (other->next_turn == t->at) break;
        }
        c->next_turn = t->at;
        c->prev_turn = t->at->prev_turn;
        c->prev_turn->next_turn = c;
        t->at->prev_turn = c;
    }
    t->n++;
}

void turns_remove(struct turns *t, struct chunk *c)
{
    if (!c->next_turn) return;
    if (c->next_turn == c) {
        t->at = NULL;
    } else {
        c->next_turn->prev_turn = c->prev_turn;
        c->prev_turn->next_turn = c->next_turn;
        if (t->at == c) t->at = c->next_turn;
    }
    c->next_turn = c->prev_turn = NULL;
    t->n--;
    chunk_unref(c);
}

/* The ids of jobs are UUIDs of version 7, so the id of an older job is less. */
static bool is_older(const struct chunk *a, const struct chunk *b)
{
    int order = a->job && b->job ? strcmp(a->job, b->job) : 0;
    return order < 0 || (order == 0 && a->base < b->base);
}

static bool is_before(const struct turns *t, const struct chunk *a, const struct chunk *b)
{
    if (t->in_order) return is_older(a, b);
    return a->job_turn < b->job_turn || (a->job_turn == b->job_turn && a->turn < b->turn);
}

struct chunk *turns_next(struct turns *t)
{
    struct chunk *next = NULL, *c = t->at;
    for (unsigned i = 0; i < t->n; i++, c = c->next_turn)
        if (chunk_available(c) && (!next || is_before(t, c, next))) next = c;
    if (!next) return NULL;
    next->turn = ++t->given;
    for (unsigned i = 0; i < t->n; i++, c = c->next_turn)
        if (same_job(next, c)) c->job_turn = t->given;
    return next;
}
