#include "worker/chunk/handover.h"

#include "common/loop/progress.h"

static void add(struct chunk *to, const char *data, size_t len)
{
    struct chunk_fault fault;
    if (!chunk_add(to, data, len, &fault)) BUG("a value of a task was refused: %s", fault.reason);
}

/* Answers an item with an error, because there is no memory to hand its value over to the next task. */
static void answer_without_memory(struct handover *h)
{
    char line[200];
    int len = snprintf(line, sizeof line,
                       "{\"error\":{\"name\":\"%s\",\"cause\":\"the worker has reached its memory "
                       "limit, and the value needs more memory\"}}\n",
                       item_error_name(ITEM_OUT_OF_MEMORY));
    chunk_add_settled(h->to, line, (size_t)len);
}

/* Returns whether nothing is left of the value: it was handed over completely, or its item got an error. Memory for the
 * whole value is reserved before the first part of the value is added, because an item that was added in part cannot be
 * taken back. */
static bool add_value(struct handover *h, const struct answer_line *a, size_t most)
{
    if (h->passed == 0 && !chunk_reserve(h->to, a->body_len + 1)) {
        answer_without_memory(h);
        return true;
    }
    size_t left = a->body_len - h->passed, n = left < most ? left : most;
    add(h->to, a->body + h->passed, n);
    h->passed += n;
    if (n < left) return false;
    add(h->to, "\n", 1);
    h->passed = 0;
    return true;
}

static void end(struct handover *h, enum chunk_end how)
{
    struct chunk_fault fault;
    h->to->cost.slot_ns += h->from->cost.slot_ns;
    if (how != CHUNK_COMPLETE)
        h->to->draining = true;
    else if (!chunk_finish(h->to, &fault))
        BUG("a value of a task was refused: %s", fault.reason);
    chunk_settle(h->to);
}

bool handover_step(struct handover *h, size_t max_bytes)
{
    const char *line;
    size_t len, done = 0;
    while ((line = chunk_first_line(h->from, &len))) {
        if (done >= max_bytes) return true;
        progress_note();
        struct answer_line a = answer_line_parse(line, len - 1, false);
        size_t before = h->passed;
        if (a.kind == ANSWER_VALUE && !add_value(h, &a, max_bytes - done)) return true;
        if (a.kind == ANSWER_ERROR) chunk_add_settled(h->to, line, len);
        if (a.kind == ANSWER_END) end(h, a.end);
        done += len - before;
        chunk_skip(h->from, len);
    }
    return false;
}
