#include "worker/chunk/item_trace.h"

struct item_trace *item_trace_new(uint64_t (*clock)(void))
{
    struct item_trace *t = xcalloc(1, sizeof *t);
    t->clock = clock;
    return t;
}

void item_trace_free(struct item_trace *t)
{
    if (t) free(t->records);
    free(t);
}

static bool has_room(const struct item_trace *t, bool failed)
{
    return failed ? t->failed < ITEM_TRACE_FAILED : t->others < ITEM_TRACE_OTHERS;
}

static void record(struct item_trace *t, const struct item_record *r)
{
    if (!has_room(t, r->failed)) return;
    if (t->count == t->alloc) {
        t->alloc = t->alloc ? t->alloc * 2 : ITEM_TRACE_OTHERS;
        t->records = xrealloc(t->records, t->alloc * sizeof *t->records);
    }
    t->records[t->count++] = *r;
    *(r->failed ? &t->failed : &t->others) += 1;
}

void item_trace_answers(struct item_trace *t, uint64_t first, uint64_t since_ns, uint64_t n, uint64_t failed_total)
{
    t->next = (struct item_record){.index = first, .start_ns = since_ns, .end_ns = t->clock(), .together = n};
    t->left = n;
    t->failed_left = failed_total - t->failed_seen;
    t->answered += n;
    t->failed_seen = failed_total;
}

/* In a large chunk, most batches get no spans, so their lines are not parsed. The last line may be long, so it is not
 * searched for its newline: it ends at `end`. */
void item_trace_lines(struct item_trace *t, const char *lines, size_t len)
{
    const char *at = lines, *end = lines + len;
    for (; at < end && t->left && (has_room(t, false) || (t->failed_left && has_room(t, true))); t->next.index++) {
        const char *newline = t->left == 1 ? end - 1 : memchr(at, '\n', (size_t)(end - at));
        struct answer_line a = answer_line_parse(at, (size_t)(newline - at), false);
        t->next.failed = a.kind == ANSWER_ERROR;
        t->next.error = a.error;
        t->failed_left -= t->next.failed && t->failed_left;
        record(t, &t->next);
        t->left--;
        at = newline + 1;
    }
}
