#include "worker/chunk/run.h"

#include "worker/chunk/chunk_internal.h"

void run_free(struct run *r)
{
    line_queue_release(&r->answers);
    free(r->verdict);
    free(r);
}

static struct run *new_run(struct chunk *c, uint64_t first, uint64_t count, size_t offset, size_t len)
{
    struct run *r = xcalloc(1, sizeof *r);
    *r = (struct run){.chunk = c, .first = first, .count = count, .offset = offset, .len = len};
    return r;
}

struct run *run_append(struct chunk *c, uint64_t first, uint64_t count, size_t offset, size_t len)
{
    struct run *r = new_run(c, first, count, offset, len);
    run_link(r, c->last);
    return r;
}

void run_link(struct run *r, struct run *after)
{
    struct chunk *c = r->chunk;
    r->prev = after;
    r->next = after ? after->next : c->runs;
    *(after ? &after->next : &c->runs) = r;
    *(r->next ? &r->next->prev : &c->last) = r;
}

void run_unlink(struct run *r)
{
    struct chunk *c = r->chunk;
    *(r->prev ? &r->prev->next : &c->runs) = r->next;
    *(r->next ? &r->next->prev : &c->last) = r->prev;
}

static bool is_done(const struct run *r)
{
    return r->answered == r->count;
}

void run_split(struct run *r, uint64_t max_items, size_t max_bytes)
{
    struct chunk *c = r->chunk;
    if (r->count <= 1 || (r->count <= max_items && r->len <= max_bytes)) return;
    uint64_t items;
    size_t len = chunk_measure(c, r->offset, r->len, max_items, max_bytes, &items);
    if (items == r->count) return;
    struct run *rest = new_run(c, r->first + items, r->count - items, r->offset + len, r->len - len);
    rest->bisect_limit = r->bisect_limit;
    run_link(rest, r);
    r->count = items;
    r->len = len;
}

static void trace_lines(void *trace, const char *lines, size_t len)
{
    item_trace_lines(trace, lines, len);
}

/* Begins to record n answers. Returns NULL if the lines need not be recorded. */
static struct item_trace *trace_answers(struct run *r, uint64_t n)
{
    struct chunk *c = r->chunk;
    if (!c->item_trace || c->ended) return NULL;
    item_trace_answers(c->item_trace, r->first + r->answered, r->since_ns, n, c->failed);
    return c->item_trace;
}

/* Returns the queue to which the answers of the run are added. */
static struct line_queue *answers_of(struct run *r)
{
    return r->chunk->runs == r ? &r->chunk->out : &r->answers;
}

void run_add_answers(struct run *r, const char *lines, size_t len)
{
    struct chunk *c = r->chunk;
    if (c->ended) return;
    line_queue_add(answers_of(r), lines, len);
    c->held += len;
}

static bool is_completed(const struct run *r)
{
    return r && r->state == RUN_WAITING && r->count == 0;
}

/* If the run r and the run before it are both completed, moves the answers of r to that run, and frees r. */
static void join_previous(struct run *r)
{
    if (!is_completed(r) || !is_completed(r->prev)) return;
    line_queue_move(&r->prev->answers, &r->answers);
    run_unlink(r);
    run_free(r);
}

void run_join_completed(struct run *r)
{
    if (r->next) join_previous(r->next);
    join_previous(r);
}

/* Takes a GIVEN run from its process, whether or not all its items are answered. If the chunk has ended, frees the run;
 * otherwise the run waits again. `answered`: the last answer of the run has just been added. */
static void take_back(struct run *r, bool answered)
{
    struct chunk *c = r->chunk;
    c->given--;
    r->cancelled_ns = 0;
    free(r->verdict);
    r->verdict = NULL;
    if (c->ended) {
        run_unlink(r);
        run_free(r);
    } else {
        r->state = RUN_WAITING;
        if (is_done(r)) r->count = r->answered = 0;
        c->waiting += r->count;
        if (answered) run_join_completed(r);
        chunk_advance(c);
        chunk_settle(c);
    }
}

static bool count_answers(struct run *r, uint64_t n)
{
    struct chunk *c = r->chunk;
    r->answered += n;
    if (!is_done(r)) return false;
    take_back(r, true);
    chunk_unref(c);
    return true;
}

bool run_answer(struct run *r, const char *lines, size_t len, uint64_t n)
{
    struct item_trace *trace = trace_answers(r, n);
    if (trace) item_trace_lines(trace, lines, len);
    run_add_answers(r, lines, len);
    return count_answers(r, n);
}

bool run_take_answers(struct run *r, struct line_queue *lines, uint64_t n)
{
    struct item_trace *trace = trace_answers(r, n);
    if (trace) line_queue_each(lines, trace_lines, trace);
    if (r->chunk->ended) {
        line_queue_release(lines);
    } else {
        r->chunk->held += lines->len;
        line_queue_move(answers_of(r), lines);
    }
    return count_answers(r, n);
}

void run_return(struct run *r, const char *line, size_t len)
{
    struct chunk *c = r->chunk;
    if (line) {
        struct item_trace *trace = trace_answers(r, 1);
        if (trace) item_trace_lines(trace, line, len);
        run_add_answers(r, line, len);
        r->answered++;
    }
    if (!is_done(r) && r->answered) {
        uint64_t items;
        size_t done = chunk_measure(c, r->offset, r->len, r->answered, SIZE_MAX, &items);
        r->first += items;
        r->count -= items;
        r->offset += done;
        r->len -= done;
        r->answered = 0;
    }
    take_back(r, line != NULL);
    chunk_unref(c);
}

void run_return_at(struct run *r, uint64_t at, const char *line, size_t len)
{
    struct chunk *c = r->chunk;
    if (at == 0 || c->ended) {
        run_return(r, line, len);
        return;
    }
    run_split(r, at, SIZE_MAX);
    struct run *rest = r->next;
    rest->state = RUN_GIVEN;
    rest->since_ns = r->since_ns;
    c->given++;
    chunk_ref(c);
    run_return(r, NULL, 0);
    run_return(rest, line, len);
}
